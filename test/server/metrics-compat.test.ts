import { spawnSync } from 'node:child_process';
import { expect, test, type TestContext } from 'vitest';
import { OUTCOMES, PROTOCOLS } from '../../runtime/spec/metric-names';
import { addOneModel } from '../support/onnx-models';
import { findTool } from '../support/tools';
import { plainRepository } from './harness/model-repository';
import { floats, request, startServer, type RunningServer } from './harness/running-server';

interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly (readonly [name: string, labels: Readonly<Record<string, string>>, value: number])[];
}

// The parsers of Prometheus' own Python client; that of OpenMetrics is strict.
const PARSE = `
import json, sys
if len(sys.argv) > 1:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
else:
    from prometheus_client.parser import text_string_to_metric_families
families = text_string_to_metric_families(sys.stdin.read())
print(json.dumps([[f.name, f.type, f.documentation, [[s.name, s.labels, s.value] for s in f.samples]] for f in families]))
`;

function python(ctx: TestContext): string {
  for (const program of ['.venv/bin/python3', findTool('python3')]) {
    if (program === undefined) continue;
    if (spawnSync(program, ['-c', 'import prometheus_client'], { stdio: 'ignore' }).status === 0) return program;
  }
  return ctx.skip('no python3 with prometheus-client');
}

function parse(program: string, input: string, format: readonly 'openmetrics'[] = []): readonly Family[] {
  const { status, stdout, stderr } = spawnSync(program, ['-c', PARSE, ...format], { input, encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  // Python writes infinities and NaN as no JSON has them.
  const list = JSON.parse(stdout.replace(/\b(-?Infinity|NaN)\b/g, 'null')) as [
    string,
    string,
    string,
    Family['samples'],
  ][];
  return list.map(([name, type, help, samples]) => ({ name, type, help, samples }));
}

const NAME = 'Id_2.x-y';

const TEXT = 'text/plain; version=0.0.4; charset=utf-8';
const OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
/** As Prometheus 2.45 sends it. */
const PROMETHEUS_ACCEPTS =
  'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';

async function serveSome(): Promise<RunningServer> {
  const server = await startServer({
    modelRepository: plainRepository({ addone: addOneModel(), [NAME]: addOneModel() }),
  });
  for (let i = 0; i < 3; i++) await server.infer('addone', floats('input', [2, 4], new Array<number>(8).fill(i)));
  await server.infer('addone', {});
  return server;
}

async function scrape(query: string): Promise<string> {
  const { metricsUrl } = await serveSome();
  const { text, headers } = await request(`${metricsUrl}/metrics${query}`);
  expect(headers.get('content-type')).toBe(TEXT);
  return text;
}

test('an independent parser reads what is exposed, and finds sound histograms and closed labels', async (ctx) => {
  const program = python(ctx);
  const families = parse(program, await scrape(''));
  const named = new Map(families.map((family) => [family.name, family]));
  expect(named.size).toBe(families.length);
  for (const { name, type, help } of families) {
    expect(['counter', 'gauge', 'histogram'], name).toContain(type);
    expect(help, name).not.toBe('');
  }
  const ours = families.filter(({ name }) => name.startsWith('slipway_'));
  expect(ours.length).toBeGreaterThan(20);
  for (const { samples } of ours) {
    for (const [, { protocol, outcome, model }] of samples) {
      if (protocol !== undefined) expect(PROTOCOLS).toContain(protocol);
      if (outcome !== undefined) expect([...OUTCOMES, 'failed']).toContain(outcome);
      if (model !== undefined) expect(['addone', NAME, '']).toContain(model);
    }
  }
  for (const { name, samples } of families.filter(({ type }) => type === 'histogram')) {
    const labelsOf = (sample: Family['samples'][number]): string =>
      JSON.stringify(Object.entries(sample[1]).filter(([label]) => label !== 'le'));
    for (const labels of new Set(samples.map(labelsOf))) {
      const group = samples.filter((sample) => labelsOf(sample) === labels);
      const buckets = group.filter(([sample]) => sample === `${name}_bucket`).map(([, , value]) => value);
      const count = group.find(([sample]) => sample === `${name}_count`)![2];
      expect(buckets, `${name}${labels}`).toEqual([...buckets].sort((a, b) => a - b));
      expect(buckets.at(-1), `${name}${labels}`).toBe(count);
    }
  }
  const answered = named.get('slipway_request_duration_seconds')!.samples;
  const ok = { model: 'addone', version: '1', protocol: 'oip-json', outcome: 'ok' };
  expect(answered).toContainEqual(['slipway_request_duration_seconds_count', ok, 3]);
  const efficiency = named.get('slipway_efficiency_ratio')!.samples.map(([, { model }, value]) => [model, value]);
  expect(efficiency).toEqual([['addone', expect.any(Number)]]);
  expect(efficiency[0]![1]).toBeGreaterThan(0);
  expect(efficiency[0]![1]).toBeLessThanOrEqual(1);
  expect(named.has('nv_inference_count')).toBe(false);
});

test('in OpenMetrics a strict parser finds the same families and samples', async (ctx) => {
  const program = python(ctx);
  const { metricsUrl } = await serveSome();
  const ask = async (accept: string, query = ''): Promise<[type: string | null, text: string]> => {
    const { headers, text } = await request(`${metricsUrl}/metrics${query}`, { headers: { accept } });
    return [headers.get('content-type'), text];
  };
  const [type, text] = await ask(PROMETHEUS_ACCEPTS);
  expect(type).toBe(OPENMETRICS);
  const shapeOf = (families: readonly Family[]): unknown =>
    families.map(({ name, type: kind, help, samples }) => [
      name,
      kind,
      help,
      // What Node is doing changes from one scrape to the next.
      name.startsWith('nodejs_')
        ? []
        : samples.map(([sample, { le, ...labels }]) => [sample, labels, le === undefined ? '' : Number(le)]),
    ]);
  const [plainType, plainText] = await ask('text/plain');
  expect(plainType).toBe(TEXT);
  expect(shapeOf(parse(program, text, ['openmetrics']))).toEqual(shapeOf(parse(program, plainText)));
  for (const accept of ['*/*', 'text/*', 'image/png']) expect((await ask(accept))[0]).toBe(TEXT);
  expect((await ask(PROMETHEUS_ACCEPTS, '?compat=triton'))[0]).toBe(TEXT);
});

test("with ?compat=triton the counters of Triton's are there as well, and agree with ours", async (ctx) => {
  const program = python(ctx);
  const families = parse(program, await scrape('?compat=triton'));
  const value = (name: string, more: object = {}): number | undefined =>
    families
      .flatMap(({ samples }) => samples)
      .find(([sample, labels]) => {
        const wanted = { model: 'addone', version: '1', ...more };
        return (
          sample === name &&
          JSON.stringify(Object.entries(labels).sort()) === JSON.stringify(Object.entries(wanted).sort())
        );
      })?.[2];
  // The parser appends what the client's counters are called by there.
  const counter = (name: string, more?: object): number | undefined =>
    value(name, more) ?? value(`${name}_total`, more);
  expect(counter('nv_inference_request_success')).toBe(3);
  expect(counter('nv_inference_count')).toBe(6);
  expect(counter('nv_inference_exec_count')).toBe(3);
  expect(value('nv_inference_pending_request_count')).toBe(0);
  for (const part of ['request', 'queue', 'compute_infer']) {
    const microseconds = counter(`nv_inference_${part}_duration_us`)!;
    expect(Number.isInteger(microseconds), part).toBe(true);
    expect(microseconds, part).toBeGreaterThan(0);
  }
  expect(counter('nv_inference_compute_infer_duration_us')).toBeLessThan(counter('nv_inference_request_duration_us')!);
  const failed = ['REJECTED', 'CANCELED', 'BACKEND', 'OTHER'].map((reason) =>
    counter('nv_inference_request_failure', { reason }),
  );
  // The request without inputs.
  expect(failed).toEqual([0, 0, 0, 1]);
  expect(families.find(({ name }) => name === 'slipway_batch_rows')).toBeDefined();
});
