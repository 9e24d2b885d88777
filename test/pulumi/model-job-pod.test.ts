import { execFile } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest';
import { renderModelJob, type ModelJobSpec } from '../../runtime/spec/kubernetes/model-job';
import { temporaryFolder } from '../server/harness/model-repository';
import { bundleServer } from '../server/harness/server-bundle';
import { writeDigitsRows } from '../support/digits-rows';
import { toolOnPath } from '../support/tools';
import { Cloud } from '../worker/support/cloud';

interface Container {
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
}

/** A pod has what its volumes hold and what its object says, and the program of the image. */
describe('the pod of a model job', () => {
  const moto = toolOnPath('moto_server');
  let cloud: Cloud;
  let image: string;
  beforeAll(async () => {
    if (moto === undefined) return;
    cloud = await Cloud.start(moto);
    await cloud.s3.send(new CreateBucketCommand({ Bucket: 'models' }));
    image = path.dirname(fileURLToPath(await bundleServer()));
  });
  afterAll(() => cloud?.stop());

  function skipped(context: TestContext): boolean {
    if (moto === undefined) context.skip('moto_server is not on the PATH');
    return moto === undefined;
  }

  /** The model and its rows are on the claim. @param index which pod of the Job */
  async function runPod(spec: Omit<ModelJobSpec, 'name'>, index = 0): Promise<{ status: number; said: string }> {
    const root = temporaryFolder();
    for (const folder of ['data', 'work', 'tmp', 'pipeline']) mkdirSync(path.join(root, folder));
    copyFileSync('models/digits/model.onnx', path.join(root, 'data/model.onnx'));
    writeDigitsRows(path.join(root, 'data/rows.jsonl'));
    const inRoot = (text: string): string => text.replaceAll(/(?<![\w/])\/(data|work|tmp|pipeline)\b/g, `${root}/$1`);
    const pipelines = spec.pipelines.map(inRoot);
    const { job, configMap } = renderModelJob<string>(
      { name: 'job', ...spec, pipelines },
      { namespace: 'a', image: 'b' },
    );
    mountConfigMap(path.join(root, 'pipeline'), configMap.data);
    const [container] = job.spec.template.spec['containers'] as [Container];
    const [node, ...words] = [...container.command, ...container.args].map((word) =>
      inRoot(word).replace('/app/', `${image}/`).replace('$(JOB_COMPLETION_INDEX)', String(index)),
    );
    expect(node).toBe('node');
    const env = Object.fromEntries(container.env.map(({ name, value }) => [name, inRoot(value)]));
    const environment = { PATH: process.env['PATH'], ...cloud.environment, ...env };
    return new Promise((resolve) => {
      execFile(process.execPath, words, { env: environment, cwd: image, timeout: 60_000 }, (error, stdout, stderr) => {
        resolve({ status: error === null ? 0 : Number(error.code), said: stdout + stderr });
      });
    });
  }

  /** As the kubelet does it: links to links, and nobody may write. */
  function mountConfigMap(folder: string, data: Readonly<Record<string, unknown>>): void {
    const version = path.join(folder, '..2026_11_22');
    mkdirSync(version);
    symlinkSync('..2026_11_22', path.join(folder, '..data'));
    for (const [name, text] of Object.entries(data)) {
      writeFileSync(path.join(version, name), text as string);
      symlinkSync(`..data/${name}`, path.join(folder, name));
    }
    for (const each of [version, folder]) chmodSync(each, 0o555);
  }

  const example = readFileSync('pulumi/examples/model-job/pipeline.yaml', 'utf8');

  test('publishes with the evaluation of its very model, and labels the version', async (context) => {
    if (skipped(context)) return;
    const { status, said } = await runPod({ pipelines: [`repository: s3://models\n${example}`] });
    expect(status, said).toBe(0);
    const [name] = /(?<=^model: )\S+/m.exec(example)!;
    const manifest = await cloud.json('models', `${name}/1/manifest.json`);
    expect(manifest).toMatchObject({ evaluation: { passed: true, gates: [{ passed: true }] } });
    expect(manifest.evaluation.model[0].sha256).toBe(manifest.files[0].sha256);
    expect(manifest.licence).toBe('Apache-2.0');
    expect((await cloud.json('models', `${name}/version-labels.json`)).labels).toEqual({ canary: 1 });
  });

  test('ends with status 4 at a closed gate, and its sentence is the last line', async (context) => {
    if (skipped(context)) return;
    const recipe = (accuracy: string): string =>
      `model: trial
source: /data/model.onnx
repository: s3://models
steps:
  - evaluate: { data: /data/rows.jsonl, task: classification, no-speed: true, max-size: ${accuracy} }
  - publish: { labels: names.txt }
`;
    const files = { 'names.txt': `${Array.from({ length: 10 }, (_, i) => `digit ${i}`).join('\n')}\n` };
    const spec = { pipelines: [recipe('1KiB'), recipe('1MiB')], files };
    const closed = await runPod(spec, 0);
    expect(closed.status, closed.said).toBe(4);
    expect(closed.said.trim().split('\n').at(-1)).toMatch(
      /^error: .*0\.yaml:5: step evaluate closed the gate; nothing was published: GATE_FAILED \S+: fileBytes must be at most \S+, got \S+$/,
    );
    expect(await cloud.keys('models', 'trial/')).toEqual([]);
    const passed = await runPod(spec, 1);
    expect(passed.status, passed.said).toBe(0);
    expect((await cloud.json('models', 'trial/1/manifest.json')).labels).toBeDefined();
  });

  test('refuses a step that needs Python before it runs any', async (context) => {
    if (skipped(context)) return;
    const { status, said } = await runPod({
      pipelines: ['model: a\nsource: /data/model.onnx\nsteps:\n  - inspect\n  - quantize: { mode: dynamic }\n'],
    });
    expect(status).toBe(3);
    expect(said).toMatch(
      /^error: \S+0\.yaml:5: step quantize needs Python, which the server image does not have: .*\n$/,
    );
  });
});
