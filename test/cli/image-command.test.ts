import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseSourceFiles } from '../../runtime/cli/source-files';
import { parseStepResults } from '../../runtime/cli/step-results';
import { temporaryFolder } from '../server/harness/model-repository';
import { bundleServer } from '../server/harness/server-bundle';
import { writeDigitsRows } from '../support/digits-rows';
import { startPrometheusDouble } from '../support/prometheus';
import { toolOnPath } from '../support/tools';
import { Cloud } from '../worker/support/cloud';

const DIGITS = path.resolve('models/digits/model.onnx');

interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Where the files of the source lie. */
  readonly folder: string;
}

/** The command as the image has it, with a scratch folder of its own in place of /tmp. */
async function runImageCommand(args: readonly string[], environment: Record<string, string> = {}): Promise<Finished> {
  const program = fileURLToPath(new URL('cli.mjs', await bundleServer()));
  const TMPDIR = temporaryFolder();
  const folder = path.join(TMPDIR, 'source');
  const env = { PATH: process.env['PATH'], TMPDIR, HOME: TMPDIR, ...environment };
  const given = args.map((each) => each.replace('/tmp/source', folder));
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...given], { env, timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr, folder });
    });
  });
}

test('the bundle runs slipway model inspect and publish', async () => {
  const inspected = await runImageCommand(['model', 'inspect', DIGITS]);
  expect(inspected).toMatchObject({ status: 0, stderr: '' });
  expect(inspected.stdout).toContain('image FP32 [batch, 1, 8, 8]');

  const repository = temporaryFolder();
  const published = await runImageCommand([
    'model',
    'publish',
    DIGITS,
    repository,
    '--name',
    'digits',
    '--version',
    '7',
  ]);
  expect(published).toMatchObject({ status: 0, stdout: `file://${repository}/digits/7/\n` });
  // The golden proof was made, by the onnxruntime beside the bundle.
  expect(existsSync(path.join(repository, 'digits/7/golden'))).toBe(true);
});

test('the bundle runs a pipeline, whose steps are the bundle again, and refuses steps that need Python before any', async () => {
  const folder = temporaryFolder();
  writeDigitsRows(path.join(folder, 'rows.jsonl'));
  const pipeline = (first: string) => {
    const file = path.join(folder, 'pipeline.yaml');
    const steps = [
      first,
      'evaluate: { data: rows.jsonl, task: classification, min-accuracy: 95%, no-speed: true }',
      'publish',
    ];
    writeFileSync(file, `model: digits\nsource: ${DIGITS}\nrepository: models\nsteps:\n  - ${steps.join('\n  - ')}\n`);
    return runImageCommand(['model', 'pipeline', file, '--work', path.join(folder, 'work')]);
  };
  const refused = await pipeline('quantize: { mode: dynamic }');
  expect(refused.status).toBe(3);
  expect(refused.stderr).toMatch(/^error: .*pipeline.yaml:5: step quantize needs Python, .*\n$/);

  const ran = await pipeline('prune: { method: magnitude, sparsity: 0.3, samples: rows.jsonl }');
  expect(ran.status, ran.stderr).toBe(0);
  const manifest = readFileSync(path.join(folder, 'models/digits/1/manifest.json'), 'utf8');
  expect(JSON.parse(manifest)).toMatchObject({
    evaluation: { passed: true },
    provenance: { steps: [{ command: expect.stringContaining('slipway model prune') }] },
  });
}, 60_000);

test('the bundle judges a canary: what it says, and by which status, is what a Job ends with', async () => {
  const asked = ['--namespace=models', '--stable=digits', '--canary=digits-canary', '--bake-seconds=1'];
  const url = await startPrometheusDouble(() => Promise.resolve([]));
  const judged = await runImageCommand(['canary', 'judge', `--prometheus-url=${url}`, ...asked]);
  expect(judged).toMatchObject({
    status: 2,
    stdout: '',
    stderr: 'error: not enough requests: digits-canary answered 0 requests and digits 0, a verdict needs 100 of each\n',
  });
});

test('a command that means nothing exits 2, and --version knows its package', async () => {
  expect((await runImageCommand(['model', 'optimise'])).status).toBe(2);
  expect((await runImageCommand(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

describe('files of a bucket', () => {
  const program = toolOnPath('moto_server');
  let cloud: Cloud;
  let bucket: string;
  beforeAll(async () => {
    if (program === undefined) return;
    cloud = await Cloud.start(program);
    bucket = await cloud.newBucket();
    await cloud.put(bucket, 'in/digits/model.onnx', readFileSync(DIGITS));
  });
  afterAll(() => cloud?.stop());

  // As a state machine finds it.
  async function listedEtag(): Promise<string> {
    const { Contents } = await cloud.s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: 'in/digits/' }));
    return Contents![0]!.ETag!;
  }

  const inspect = (etag: string): Promise<Finished> =>
    runImageCommand(['model', 'inspect', '/tmp/source/model.onnx'], {
      ...(cloud.environment as Record<string, string>),
      SLIPWAY_SOURCE: JSON.stringify({ bucket, prefix: 'in/digits/', objects: [{ name: 'model.onnx', etag }] }),
    });

  test('are there before the command begins', async (context) => {
    if (program === undefined) return context.skip('moto_server is not on the PATH');
    const finished = await inspect(await listedEtag());
    expect(finished).toMatchObject({ status: 0, stdout: expect.stringContaining('image FP32 [batch, 1, 8, 8]') });
    expect(readFileSync(path.join(finished.folder, 'model.onnx'))).toEqual(readFileSync(DIGITS));
  });

  const inspectWith = (results: object, environment: Record<string, string> = {}): Promise<Finished> =>
    runImageCommand(['model', 'inspect', DIGITS], {
      ...(cloud.environment as Record<string, string>),
      SLIPWAY_RESULTS: JSON.stringify({ bucket, ...results }),
      ...environment,
    });

  test('that steps before left are there, and those of this very step, which would be in its way, are not', async (context) => {
    if (program === undefined) return context.skip('moto_server is not on the PATH');
    for (const key of ['Evaluate/report.json', 'Judge/work/a.json', 'Inspect/old.json']) {
      await cloud.put(bucket, `runs/1/${key}`, key);
    }
    const { status, stderr, folder } = await inspectWith({ prefix: 'runs/1/', step: 'Inspect' });
    expect(status, stderr).toBe(0);
    const results = path.join(folder, '../results');
    expect(readFileSync(path.join(results, 'Evaluate/report.json'), 'utf8')).toBe('Evaluate/report.json');
    expect(existsSync(path.join(results, 'Judge/work/a.json'))).toBe(true);
    expect(existsSync(path.join(results, 'Inspect/old.json'))).toBe(false);
  });

  test('a result whose name leads out of its folder is refused', async (context) => {
    if (program === undefined) return context.skip('moto_server is not on the PATH');
    await cloud.put(bucket, 'runs/2/Evaluate/..\\..\\x', 'x');
    await cloud.put(bucket, 'runs/3/Evaluate//x', 'x');
    await cloud.put(bucket, 'runs/4/Evaluate/.', 'x');
    for (const prefix of ['runs/2/', 'runs/3/', 'runs/4/']) {
      const refused = await inspectWith({ prefix, step: 'Inspect' });
      expect(refused.status, prefix).toBe(1);
      expect(refused.stderr).toMatch(/^error: s3:.* is no file below it$/m);
    }
  });

  test('results that cannot be kept fail the step, whatever its command says', async (context) => {
    if (program === undefined) return context.skip('moto_server is not on the PATH');
    const gone = await inspectWith({ bucket: 'no-such-bucket', prefix: 'runs/', step: 'Inspect' });
    expect(gone.status).toBe(1);
    expect(gone.stderr).toMatch(/^error: s3:\/\/no-such-bucket\/runs\/: .*exist/m);
  });

  test('that changed since they were listed are refused: nobody publishes what was not gated', async (context) => {
    if (program === undefined) return context.skip('moto_server is not on the PATH');
    const etag = await listedEtag();
    await cloud.put(bucket, 'in/digits/model.onnx', Buffer.concat([readFileSync(DIGITS), Buffer.from([0])]));
    const finished = await inspect(etag);
    expect(finished).toMatchObject({ status: 1, stdout: '' });
    expect(finished.stderr).toContain(`s3://${bucket}/in/digits/model.onnx: has changed since it was listed`);
  });
});

test.each(['..', '.', '../model.onnx', 'a/b', 'a\\b', '', 'a\0b'])(
  'the name of an object is one of a file and leads nowhere else: %j',
  (name) => {
    const objects = [{ name, etag: '"1"' }];
    expect(() => parseSourceFiles(JSON.stringify({ bucket: 'b', prefix: 'p/', objects }))).toThrow(/a file's name/);
  },
);

test('what is no list of objects is refused', () => {
  for (const text of ['{', 'null', '{}', '{"bucket":"b","prefix":"p/","objects":[]}']) {
    expect(() => parseSourceFiles(text)).toThrow(/SLIPWAY_SOURCE/);
  }
  const objects = [{ name: 'model.onnx', etag: '"1"' }];
  expect(parseSourceFiles(JSON.stringify({ bucket: 'b', prefix: '', objects }))).toEqual({
    bucket: 'b',
    prefix: '',
    objects,
  });
});

test.each(['{', 'null', '{}', '{"bucket":"b","prefix":"p"}', '{"bucket":"b","prefix":"p/","step":"../x"}'])(
  'what names no folder of a run is refused: %s',
  (text) => expect(() => parseStepResults(text)).toThrow(/SLIPWAY_RESULTS/),
);
