import path from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { checkResources } from '../../pulumi/policy';
import { SpecError } from '../../runtime/spec';
import { renderModelJob } from '../../runtime/spec/kubernetes';
import {
  applyToCluster,
  assertSameResources,
  assertSucceeded,
  findDescendants,
  findResource,
  loggedErrors,
  propertyAt,
  reveal,
  runPulumiProgram,
  type Properties,
  type PropertyValue,
  type PulumiProgramOptions,
  type PulumiRecording,
} from 'slipway/testing';
import { startCluster, whyNoCluster, type TestCluster } from '../support/kubernetes-cluster';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const reason = whyNoCluster({ alone: true });
const JOB = 'kubernetes:batch/v1:Job';
let preview: PulumiRecording;
let up: PulumiRecording;
let cluster: TestCluster | undefined;

beforeAll(async () => {
  preview = assertSucceeded(await run({ preview: true }));
  up = assertSucceeded(await run());
});
afterAll(() => cluster?.stop());

test('preview and up make the same resources, whose names are public API', () => {
  expect(() => assertSameResources(preview, up)).not.toThrow();
  const children = findDescendants(up, findResource(up, 'slipway:index:ModelJob', 'one').urn);
  expect(children.map(({ type, name }) => `${type} ${name}`).sort()).toEqual([
    'kubernetes:batch/v1:Job one',
    'kubernetes:core/v1:ConfigMap one',
    'kubernetes:core/v1:ServiceAccount one',
    'kubernetes:networking.k8s.io/v1:NetworkPolicy one',
  ]);
  expect(children.every(({ protect }) => protect)).toBe(true);
});

test('a pod runs the pipeline of the ConfigMap with the image of the server, and another content is another Job', () => {
  const { inputs } = findResource(up, JOB, 'one');
  const configMap = findResource(up, 'kubernetes:core/v1:ConfigMap', 'one').inputs;
  expect(container(inputs)).toMatchObject({
    image: expect.stringMatching(/@sha256:a{64}$/),
    command: ['node', '/app/cli.mjs'],
    args: ['model', 'pipeline', '/pipeline/0.yaml', '--work=/work/steps'],
  });
  expect(Object.keys(configMap['data'] as object)).toEqual(['0.yaml', 'labels.txt']);
  const name = propertyAt(inputs, 'metadata.name');
  expect(name).toMatch(/^one-[0-9a-f]{8}$/);
  expect(propertyAt(configMap, 'metadata.name')).toBe(name);
  const named = (text: string) =>
    renderModelJob({ name: 'one', pipelines: [text] }, { namespace: 'a', image: 'b' }).job.metadata.name;
  expect(named('a')).not.toBe(named('b'));
  expect(named('a')).toBe(named('a'));
});

test('a closed gate is not tried again, a lost machine is', () => {
  expect(propertyAt(findResource(up, JOB, 'one').inputs, 'spec')).toMatchObject({
    backoffLimit: 2,
    podFailurePolicy: {
      rules: [
        { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
        { action: 'FailJob', onExitCodes: { containerName: 'pipeline', operator: 'In', values: [2, 3, 4, 5] } },
      ],
    },
  });
});

test('recipes are an Indexed Job, in which one that fails leaves the others alone', () => {
  const { inputs } = findResource(up, JOB, 'matrix');
  const spec = propertyAt(inputs, 'spec') as Record<string, PropertyValue>;
  expect(spec).toMatchObject({
    completionMode: 'Indexed',
    completions: 3,
    parallelism: 2,
    backoffLimitPerIndex: 2,
    ttlSecondsAfterFinished: 86_400,
  });
  expect(spec).not.toHaveProperty('backoffLimit');
  expect(propertyAt(inputs, 'spec.podFailurePolicy.rules[1].action')).toBe('FailIndex');
  expect(container(inputs)['args']).toContain('/pipeline/$(JOB_COMPLETION_INDEX).yaml');
  expect(propertyAt(inputs, 'metadata.annotations')).toEqual({ 'pulumi.com/skipAwait': 'true' });
});

test('pods have the identity, reach what it needs and HTTPS, and are reached by nobody', () => {
  const { inputs } = findResource(up, JOB, 'one');
  expect(propertyAt(inputs, 'spec.template.spec.serviceAccountName')).toBe('publisher');
  expect(propertyAt(inputs, 'spec.template.metadata.labels')).toMatchObject({ 'azure.workload.identity/use': 'true' });
  expect(container(inputs)['env']).toContainEqual({ name: 'AWS_REGION', value: 'eu-west-1' });
  const policy = findResource(up, 'kubernetes:networking.k8s.io/v1:NetworkPolicy', 'one').inputs;
  expect(propertyAt(policy, 'spec.policyTypes')).toEqual(['Ingress', 'Egress']);
  expect(propertyAt(policy, 'spec')).not.toHaveProperty('ingress');
  expect((propertyAt(policy, 'spec.egress') as unknown[]).slice(1)).toEqual([
    { ports: [{ protocol: 'TCP', port: 443 }] },
    { to: [{ ipBlock: { cidr: '169.254.170.23/32' } }], ports: [{ protocol: 'TCP', port: 80 }] },
  ]);
});

test('a Job that asks for a GPU runs where there is one, with an image of its own', () => {
  const { inputs } = findResource(up, JOB, 'teach');
  expect(container(inputs)).toMatchObject({ command: ['slipway'], resources: { limits: { 'nvidia.com/gpu': '1' } } });
  expect(propertyAt(inputs, 'spec.template.spec.nodeSelector')).toEqual({ 'nvidia.com/gpu.present': 'true' });
});

test('they break no policy', () => {
  const resources = up.resources.filter(({ custom, type }) => custom && type.startsWith('kubernetes:'));
  const { findings, undecided } = checkResources(
    resources.map(({ inputs, ...resource }) => ({ ...resource, props: reveal(inputs) as Properties })),
  );
  expect(findings.map(({ rule, urn, message }) => `${rule} ${urn} ${message}`)).toEqual([]);
  expect(undecided).toEqual([]);
});

test.each([
  ['name', "NAME_INVALID name: must be 1 to 40 lower-case letters, digits and dashes, got 'Not_A_Name'"],
  ['neither', 'MODEL_JOB_INVALID pipeline: give the text of one pipeline, or recipes, got neither'],
  ['both', 'MODEL_JOB_INVALID pipeline: give the text of one pipeline, or recipes, got both'],
  ['file', 'MODEL_JOB_INVALID files.0.yaml: must be a name of letters'],
  ['parallelism', 'NUMBER_INVALID parallelism: '],
])('what cannot be is refused before anything is made: %s', async (wrong, line) => {
  const recording = await run({ config: { namespace: 'models', wrong } });
  expect(recording.exitCode).not.toBe(0);
  expect(loggedErrors(recording).join('\n')).toContain(line);
});

test('no pipeline, too much text and claimed GPUs are refused', () => {
  const refs = { namespace: 'a', image: 'b' };
  const refused = (spec: object, more: object = {}) => {
    try {
      renderModelJob({ name: 'one', pipelines: ['a'], ...spec }, { ...refs, ...more });
    } catch (error) {
      return SpecError.is(error) ? error.message : String(error);
    }
    return 'nothing was refused';
  };
  expect(refused({ pipelines: [] })).toContain('MODEL_JOB_INVALID recipes: must be 1 to 1000 pipelines, got 0');
  expect(refused({ files: { a: 'é'.repeat(500_001) } })).toContain('MODEL_JOB_INVALID files: pipelines and files');
  const placement = { nodeSelector: {}, tolerations: [], gpuResourceName: 'a', gpuAllocation: 'dra' };
  expect(refused({ gpuCount: 1 }, { placement })).toContain('MODEL_JOB_INVALID placement: must offer GPUs');
});

test('the API server takes every object, Pod Security restricted every pod, and the Jobs end', async (context) => {
  if (reason !== undefined) context.skip(reason);
  cluster = await startCluster();
  const live = assertSucceeded(
    await run({
      config: { namespace: 'models' },
      onResource: applyToCluster({ kubeconfig: cluster.kubeconfig }),
    }),
  );
  for (const { type, name, inputs, state } of live.resources.filter((one) => one.type.startsWith('kubernetes:'))) {
    expect(state, `${type} ${name}`).toMatchObject(inputs);
  }
  const events = JSON.parse(
    await cluster.kubectl('get', 'events', '-n', 'models', '--field-selector', 'reason=FailedCreate', '-o', 'json'),
  ) as { items: { message: string }[] };
  expect(events.items.map(({ message }) => message)).toEqual([]);
  const { state } = findResource(live, JOB, 'one');
  expect(propertyAt(state, 'status.succeeded')).toBe(1);
});

function container(inputs: Record<string, PropertyValue>): Record<string, PropertyValue> {
  const [first] = propertyAt(inputs, 'spec.template.spec.containers') as Record<string, PropertyValue>[];
  return first!;
}

function run(options: Partial<PulumiProgramOptions> = {}): Promise<PulumiRecording> {
  return runPulumiProgram({
    program: path.join(__dirname, 'programs/model-job.ts'),
    typeCheck: false,
    config: { namespace: 'models' },
    ...options,
  });
}
