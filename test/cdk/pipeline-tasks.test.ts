import { execFile } from 'node:child_process';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { CreateKeyCommand, GetPublicKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import type { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as kms from 'aws-cdk-lib/aws-kms';
import { PipelineStep } from 'slipway/cdk';
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest';
import { temporaryFolder } from '../server/harness/model-repository';
import { bundleServer } from '../server/harness/server-bundle';
import { writeDigitsRows } from '../support/digits-rows';
import { toolOnPath } from '../support/tools';
import { Cloud } from '../worker/support/cloud';
import { publishDigits } from './support/models';
import { newPipeline, pipelineStates } from './support/pipelines';
import { runStates, type Execution } from './support/run-states';
import { newStack } from './support/stacks';

interface Task {
  readonly Command: readonly string[];
  readonly Environment: readonly { readonly Name: string; readonly Value: string }[];
}

/** The state machine is evaluated by JSONata, its listings are an emulator's, and its tasks are the image's own program. */
describe('the tasks of a pipeline, run as the state machine says', () => {
  const moto = toolOnPath('moto_server');
  let cloud: Cloud;
  let program: string;
  let manifestFile: string;
  beforeAll(async () => {
    if (moto === undefined) return;
    cloud = await Cloud.start(moto);
    program = fileURLToPath(new URL('cli.mjs', await bundleServer()));
    ({ manifestFile } = await publishDigits(3));
    for (const Bucket of ['candidates', 'models']) await cloud.s3.send(new CreateBucketCommand({ Bucket }));
  });
  afterAll(() => cloud?.stop());

  const skipped = (context: TestContext): boolean => {
    if (moto === undefined) context.skip('moto_server is not on the PATH');
    return moto === undefined;
  };

  /** A task has a disk of its own, /tmp, and nothing else of the tasks before it. */
  async function runTask({ Command, Environment }: Task): Promise<{ status: number; stdout: string; stderr: string }> {
    const TMPDIR = temporaryFolder();
    const args = Command.map((word) =>
      word.replaceAll(/\/tmp\/(source|results)/g, (_, folder) => `${TMPDIR}/${folder}`),
    );
    const given = Object.fromEntries(Environment.map(({ Name, Value }) => [Name, Value]));
    const env = { PATH: process.env['PATH'], HOME: TMPDIR, TMPDIR, ...cloud.environment, ...given };
    return new Promise((resolve) => {
      execFile(process.execPath, [program, ...args], { env, timeout: 60_000 }, (error, stdout, stderr) => {
        resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });
  }

  const keysOf = async (Bucket: string, Prefix: string): Promise<string[]> => {
    const { Contents = [] } = await cloud.s3.send(new ListObjectsV2Command({ Bucket, Prefix }));
    return Contents.map(({ Key }) => Key!.slice(Prefix.length));
  };

  /** @returns the execution, and what each task printed */
  async function runPipeline(
    stepsOf: readonly PipelineStep[] | ((stack: Stack) => readonly PipelineStep[]),
    files: Readonly<Record<string, Uint8Array | string>>,
  ): Promise<Execution & { readonly printed: readonly string[] }> {
    const folder = `incoming/digits/${Date.now()}/`;
    for (const [name, content] of Object.entries(files)) {
      await cloud.put('candidates', folder + name, Buffer.from(content));
    }
    const stack = newStack();
    const steps = typeof stepsOf === 'function' ? stepsOf(stack) : stepsOf;
    newPipeline(stack, manifestFile, { steps });
    const printed: string[] = [];
    const execution = await runStates(
      pipelineStates(Template.fromStack(stack)),
      { key: `${folder}model.onnx` },
      {
        's3:listObjectsV2': (given) => cloud.s3.send(new ListObjectsV2Command(given)),
        'ecs:runTask.sync': async ({ Overrides }) => {
          const task = await runTask(Overrides.ContainerOverrides[0] as Task);
          printed.push(task.stdout + task.stderr);
          return { Containers: [{ Name: 'slipway', ExitCode: task.status }] };
        },
        'states:startExecution.sync:2': () => ({ Output: { outcome: 'rolledOut' } }),
      },
    );
    return { ...execution, printed };
  }

  const model = readFileSync(path.resolve('models/digits/model.onnx'));
  const rows = (mislabelled: number): string => {
    const file = path.join(temporaryFolder(), 'rows.jsonl');
    writeDigitsRows(file, { mislabelled });
    return readFileSync(file, 'utf8');
  };
  const smaller = PipelineStep.result('Cluster', 'model.onnx');
  const data = PipelineStep.source('rows.jsonl');
  const STEPS = [
    PipelineStep.gate('Inspect', ['model', 'inspect', PipelineStep.source()]),
    PipelineStep.command('Cluster', [
      ...['model', 'cluster', PipelineStep.source(), '--output', smaller, '--clusters', '16', '--samples', data],
    ]),
    PipelineStep.gate('Evaluate', [
      ...['model', 'evaluate', smaller, '--compare', PipelineStep.source(), '--data', data, '--no-speed'],
      ...['--task', 'classification', '--min-accuracy', '95%', '--max-drop', '2%'],
    ]),
    PipelineStep.publish({ model: smaller, licence: 'Apache-2.0', sbom: true }),
    PipelineStep.promote('stable'),
  ];

  test('a candidate becomes smaller, is judged, published and labelled, and its manifest has the evidence', async (context) => {
    if (skipped(context)) return;
    const { end, printed } = await runPipeline(STEPS, { 'rows.jsonl': rows(0), 'model.onnx': model });
    expect(end, printed.join('\n')).toMatchObject({ state: 'Promoted', output: { outcome: 'promoted', version: 1 } });
    const manifest = await cloud.json('models', 'digits/1/manifest.json');
    expect(manifest).toMatchObject({
      licence: 'Apache-2.0',
      evaluation: { passed: true, gates: [{ metric: 'accuracy' }, { metric: 'drop' }] },
      provenance: { steps: [{ command: expect.stringMatching(/^slipway model cluster/) }] },
    });
    const [published] = manifest.files as { path: string; sha256: string }[];
    expect(manifest.evaluation.model).toEqual([{ path: published!.path, sha256: published!.sha256 }]);
    expect(manifest.provenance.steps[0].outputs[0].sha256).toBe(published!.sha256);
    const labels = await cloud.json('models', 'digits/version-labels.json');
    expect(labels.labels).toEqual({ stable: 1 });
    // What was handed on stays beside the versions, and no reader takes it for one.
    const left = await keysOf('models', (end.output.results as string).replace('s3://models/', ''));
    expect(left).toEqual(['Cluster/model.onnx', 'Cluster/model.onnx.provenance.json', 'Evaluate/report.json']);
    const listed = await runTask({ Command: ['model', 'list', 's3://models', '--json'], Environment: [] });
    expect((JSON.parse(listed.stdout) as { version: number }[]).map(({ version }) => version)).toEqual([1]);
  });

  test('a gate that closes publishes nothing, and its report is there to be read', async (context) => {
    if (skipped(context)) return;
    const before = await keysOf('models', 'digits/');
    const { end, printed } = await runPipeline(STEPS, { 'rows.jsonl': rows(30), 'model.onnx': model });
    expect(end).toMatchObject({ error: 'GateClosed', cause: expect.stringContaining('gate Evaluate ended with exit') });
    expect(printed).toHaveLength(3);
    const after = await keysOf('models', 'digits/');
    expect(after.filter((key) => !key.startsWith('_runs/'))).toEqual(before.filter((key) => !key.startsWith('_runs/')));
    const [report] = after.filter((key) => key.endsWith('Evaluate/report.json') && key.startsWith('_runs/'));
    const { passed } = (await cloud.json('models', `digits/${report!}`)) as { passed: boolean };
    expect(passed).toBe(false);
  });

  test('a pipeline file beside the candidate runs in one task, and what it made can be published', async (context) => {
    if (skipped(context)) return;
    const file = `model: digits
source: model.onnx
steps:
  - cluster: { clusters: 16, samples: rows.jsonl }
  - evaluate: { data: rows.jsonl, task: classification, min-accuracy: 95%, no-speed: true }
`;
    const steps = [
      PipelineStep.gate('Judge', ['model', 'pipeline', PipelineStep.source('pipeline.yaml')]),
      PipelineStep.publish({
        model: PipelineStep.result('Judge', 'cluster/model/model.onnx'),
        evaluation: PipelineStep.result('Judge', 'evaluate/report.json'),
      }),
    ];
    const files = { 'pipeline.yaml': file, 'rows.jsonl': rows(0), 'model.onnx': model };
    const { end, printed } = await runPipeline(steps, files);
    expect(end.state, printed.join('\n')).toBe('Promoted');
    const manifest = await cloud.json('models', `digits/${end.output.version}/manifest.json`);
    expect(manifest).toMatchObject({ evaluation: { passed: true }, provenance: { steps: [{}] } });
  });

  test('a manifest is signed by a key that never leaves its service', async (context) => {
    if (skipped(context)) return;
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
    const client = new KMSClient({
      endpoint: cloud.environment['AWS_ENDPOINT_URL']!,
      region: 'us-east-1',
      credentials,
    });
    const created = await client.send(new CreateKeyCommand({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' }));
    const keyArn = created.KeyMetadata!.Arn!;
    const { PublicKey } = await client.send(new GetPublicKeyCommand({ KeyId: keyArn }));
    const { end, printed } = await runPipeline(
      (stack) => [PipelineStep.publish({ signKey: kms.Key.fromKeyArn(stack, 'Signer', keyArn) })],
      { 'model.onnx': model },
    );
    expect(end.state, printed.join('\n')).toBe('Promoted');
    const { bytes } = await cloud.get('models', `digits/${end.output.version}/manifest.json`);
    const signature = await cloud.get('models', `digits/${end.output.version}/manifest.json.sig`);
    const key = createPublicKey({ key: Buffer.from(PublicKey!), format: 'der', type: 'spki' });
    // moto hashes what it is told is a digest once more; KMS does not.
    const digest = createHash('sha256').update(bytes).digest();
    const bySignature = Buffer.from(Buffer.from(signature.bytes).toString(), 'base64');
    expect(verify('sha256', digest, key, bySignature)).toBe(true);
  });

  test('a pipeline file that would publish by itself cannot know where', async (context) => {
    if (skipped(context)) return;
    const file = 'model: digits\nsource: model.onnx\nsteps:\n  - publish\n';
    const steps = [
      PipelineStep.gate('Judge', ['model', 'pipeline', PipelineStep.source('pipeline.yaml')]),
      PipelineStep.publish(),
    ];
    const { end, printed } = await runPipeline(steps, { 'pipeline.yaml': file, 'model.onnx': model });
    expect(end.error).toBe('GateClosed');
    expect(printed[0]).toContain('publish needs repository:');
  });
});
