import path from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import {
  assertSameResources,
  assertSucceeded,
  findDescendants,
  findResources,
  isSecret,
  propertyAt,
  runPulumiProgram,
  UNKNOWN,
  type PulumiRecording,
  type RecordedResource,
} from 'slipway/testing';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let preview: PulumiRecording;
let up: PulumiRecording;

beforeAll(async () => {
  preview = assertSucceeded(await run(true));
  up = assertSucceeded(await run(false));
});

test('what is known only at deployment changes neither what is declared nor how it is called', async () => {
  expect(() => assertSameResources(preview, up)).not.toThrow();
  const services = findResources(up, 'slipway:index:InferenceService');
  const names = services.map(
    ({ name, urn }) =>
      `${name}\n${findDescendants(up, urn)
        .map((child) => `  ${child.type} ${child.name}\n`)
        .sort()
        .join('')}`,
  );
  await expect(names.sort().join('')).toMatchFileSnapshot('__snapshots__/service-choices.resources.txt');
});

test('a model in an image, on a driver or in a literal is served from where it lies', () => {
  const modelsOf = (name: string): string =>
    (
      propertyAt(child(up, name, 'Deployment').inputs, 'spec.template.spec.containers[0].env') as {
        name: string;
        value: string;
      }[]
    ).find((variable) => variable.name === 'SLIPWAY_MODELS')!.value;
  expect(modelsOf('image')).toContain('"file:///models/digits/digits/1/"');
  expect(modelsOf('literal')).toContain('"s3://team-models/digits/1/model.onnx"');
  const volumes = (recording: PulumiRecording, name: string) =>
    propertyAt(child(recording, name, 'Deployment').inputs, 'spec.template.spec.volumes[1]');
  expect(volumes(preview, 'image')).toMatchObject({ image: { reference: UNKNOWN } });
  expect(volumes(up, 'driver')).toMatchObject({ csi: { driver: 'csi.example.com', readOnly: true } });
});

test('a secret of a queue stays one', () => {
  const { inputs } = child(up, 'queue', 'ScaledObject');
  expect(isSecret(propertyAt(inputs, 'spec.triggers[1].metadata.host'))).toBe(true);
});

test('a pool that cannot hold a rollout is said before anything is deployed', () => {
  const warnings = preview.logs.filter(({ severity }) => severity === 'warning');
  expect(warnings.map(({ message }) => message.trim())).toEqual([
    expect.stringMatching(/^maxReplicas 2 takes every GPU: .* \(2 GPUs, 1 for each replica\).* spareReplica: false/),
  ]);
  expect(warnings[0]!.urn).toMatch(/InferenceService::claims$/);
});

test('an image that a tag names is said before anything is deployed', async () => {
  const program = path.join(__dirname, 'programs/protected-with-provider.ts');
  const { logs } = assertSucceeded(await runPulumiProgram({ program, typeCheck: false, preview: true }));
  const warnings = logs.filter(({ severity }) => severity === 'warning');
  expect(warnings.map(({ urn, message }) => [urn.split('::').at(-2)!.split('$').at(-1), message.trim()])).toEqual([
    [
      'slipway:index:InferenceService',
      expect.stringMatching(/^image 'registry\.example\.com\/slipway:1' is not named by its digest/),
    ],
  ]);
});

test('a service that may have no replica is not waited for by its Service', () => {
  const annotations = (name: string) => propertyAt(child(up, name, 'Service').inputs, 'metadata.annotations');
  expect(annotations('schedule')).toEqual({ 'pulumi.com/skipAwait': 'true' });
  expect(annotations('literal')).toBeUndefined();
});

function child(recording: PulumiRecording, service: string, kind: string): RecordedResource {
  const { urn } = findResources(recording, 'slipway:index:InferenceService').find(({ name }) => name === service)!;
  const found = findDescendants(recording, urn).filter(({ type }) => type.endsWith(`:${kind}`));
  expect(found, `${kind} of ${service}`).toHaveLength(1);
  return found[0]!;
}

function run(isPreview: boolean): Promise<PulumiRecording> {
  return runPulumiProgram({
    program: path.join(__dirname, 'programs/service-choices.ts'),
    typeCheck: false,
    preview: isPreview,
    config: { namespace: 'inference' },
  });
}
