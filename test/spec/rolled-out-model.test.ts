import {
  containerEnvironment,
  modelAnnotations,
  parseModelReferences,
  PLAIN,
  planInferenceService,
  renderKubernetesObjects,
  type LateBound,
  type ModelLocation,
} from 'slipway';
import { describe, expect, test } from 'vitest';
import { CPU_SPEC } from '../support/specs';

const plan = planInferenceService(CPU_SPEC);
const DIGEST = 'c'.repeat(64);
const folder = 's3://models/resnet50/7/';

const environmentWith = <S>(location: ModelLocation<S>, engine: LateBound<S>) =>
  containerEnvironment(plan, {
    ...engine,
    models: { resnet50: location },
    clusterName: 'prod',
    cloudwatchMetrics: false,
  });

describe('a model whose version deployment chooses', () => {
  const location = { folder, version: '7', manifestSha256: DIGEST };

  test('is told by folder, version and manifest digest, not by the files of the planned version', () => {
    expect(plan.models[0]!.files).toBeDefined();
    const environment = environmentWith(location, PLAIN);
    expect(parseModelReferences(environment['SLIPWAY_MODELS']!)).toEqual([
      { name: 'resnet50', version: 7, maxBatchSize: 32, folder, manifestSha256: DIGEST },
    ]);
  });

  test('asks for an image that looks at the digest', () => {
    expect(environmentWith(location, PLAIN)['SLIPWAY_CONTRACT']).toBe('2');
    const annotations = modelAnnotations(plan, { ...PLAIN, models: { resnet50: location } });
    expect(annotations).toEqual({
      'slipway.dev/models': `resnet50@7:sha256-${DIGEST}`,
      'slipway.dev/contract': '2',
    });
  });

  test('leaves the joining to an engine whose values are no text', () => {
    class Late {
      constructor(readonly name: string) {}
    }
    const engine: LateBound<Late> = {
      concat: (parts) => new Late(parts.map((part) => (part instanceof Late ? `<${part.name}>` : part)).join('')),
    };
    const late = { folder: new Late('folder'), version: new Late('version'), manifestSha256: new Late('digest') };
    expect((environmentWith(late, engine)['SLIPWAY_MODELS'] as Late).name).toBe(
      '[{"name":"resnet50","version":<version>,"maxBatchSize":32,"folder":"<folder>","manifestSha256":"<digest>"}]',
    );
    const annotations = modelAnnotations(plan, { ...engine, models: { resnet50: late } });
    expect((annotations['slipway.dev/models'] as Late).name).toBe('resnet50@<version>:sha256-<digest>');
  });

  test('is another pod on Kubernetes as well', () => {
    const { deployment } = renderKubernetesObjects(plan, {
      ...PLAIN,
      models: { resnet50: location },
      namespace: 'vision',
      image: 'server',
      clusterName: 'prod',
    });
    expect(deployment.spec.template.metadata.annotations).toEqual({
      'slipway.dev/models': `resnet50@7:sha256-${DIGEST}`,
      'slipway.dev/contract': '2',
    });
  });

  test('may be chosen without a digest, which an older image serves too', () => {
    expect(environmentWith({ folder, version: '7' }, PLAIN)['SLIPWAY_CONTRACT']).toBe('1');
    const annotations = modelAnnotations(plan, { ...PLAIN, models: { resnet50: { folder, version: '7' } } });
    expect(annotations['slipway.dev/models']).toBe('resnet50@7');
  });
});

test('a model of the plan is told as before, for the contract before', () => {
  const planned = { folder: 's3://models/resnet50/3/' };
  const environment = environmentWith(planned, PLAIN);
  expect(environment['SLIPWAY_CONTRACT']).toBe('1');
  expect(parseModelReferences(environment['SLIPWAY_MODELS']!)[0]!.files).toHaveLength(
    CPU_SPEC.models[0]!.files!.length,
  );
  expect(modelAnnotations(plan, { ...PLAIN, models: { resnet50: planned } })).toEqual(modelAnnotations(plan));
});

describe('a reference is refused when its manifest digest', () => {
  test.each<[string, Record<string, unknown>]>([
    ['is of files that have their own', { files: [{ path: 'model.onnx', uri: 's3://b/x', bytes: 1, sha256: DIGEST }] }],
    ['is no SHA-256', { folder, manifestSha256: 'C'.repeat(64) }],
    ['is a number', { folder, manifestSha256: 12 }],
  ])('%s', (_name, fields) => {
    const entry = { name: 'a', version: 1, manifestSha256: DIGEST, ...fields };
    expect(() => parseModelReferences(JSON.stringify([entry]))).toThrow(
      'manifestSha256 goes with a folder and must be 64 lower-case hexadecimal digits',
    );
  });
});
