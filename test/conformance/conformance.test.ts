import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Subject } from '../../runtime/conformance/conformance-case';
import { conformanceModels } from '../../runtime/conformance/conformance-models';
import { GrpcClient } from '../../runtime/conformance/grpc-client';
import { HttpClient } from '../../runtime/conformance/http-client';
import { CONFORMANCE_CASES, runConformance } from '../../runtime/conformance/run-conformance';
import { slipway } from '../cli/terminal';
import { startBundledServer, type BundledServer } from '../server/harness/bundled-server';

let server: BundledServer;
let subject: Subject;

beforeAll(async () => {
  server = await startBundledServer(conformanceModels());
  subject = { http: new HttpClient(server.url), grpc: new GrpcClient(server.grpcUrl) };
});

afterAll(async () => {
  subject.grpc?.close();
  await server.stop();
});

describe.each([...new Set(CONFORMANCE_CASES.map(({ area }) => area))])('%s', (area) => {
  const cases = CONFORMANCE_CASES.filter((each) => each.area === area);
  test.each(cases)('$id ($kind): $title', async ({ run }) => run(subject));
});

test('every case has an id of its own and names where its fact comes from', () => {
  const ids = CONFORMANCE_CASES.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { id, source } of CONFORMANCE_CASES) expect(source, id).toMatch(/, |: /);
});

test('a server that says yes to everything is found out by nearly every case', async () => {
  const yes = createServer((request, response) => {
    request.resume();
    response.setHeader('Content-Type', 'application/json');
    response.end('{}');
  });
  await new Promise<void>((resolve) => yes.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void yes.close());
  const { port } = yes.address() as AddressInfo;
  const rest = CONFORMANCE_CASES.filter(({ area }) => area !== 'grpc');
  const results = await runConformance({ http: new HttpClient(`http://127.0.0.1:${port}`), grpc: undefined }, rest);
  const passed = results.filter(({ failure }) => failure === undefined).map((result) => result.case.id);
  // Nothing but a status is asked for here.
  expect(passed.length).toBeLessThan(rest.length / 5);
  expect(passed).not.toContain('rest-infer');
});

test('the command holds a server against the protocols, and fails where the specification is broken', async () => {
  const good = await slipway('conformance', server.url, '--grpc', server.grpcUrl, '--json');
  expect(good.status).toBe(0);
  const results = JSON.parse(good.stdout) as { passed: boolean }[];
  expect(results).toHaveLength(CONFORMANCE_CASES.length);
  expect(results.every(({ passed }) => passed)).toBe(true);

  // The metrics port answers HTTP and knows nothing of inference.
  const bad = await slipway('conformance', server.metricsUrl, '--only', 'health');
  expect(bad.status).not.toBe(0);
  expect(bad.stdout).toMatch(/FAIL {2}rest-live \(spec\)/);
  expect(bad.stderr).toMatch(/cases of the specification failed/);
});
