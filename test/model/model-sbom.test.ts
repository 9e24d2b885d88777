import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { expect, test } from 'vitest';
import { modelSbom } from '../../runtime/model/model-sbom';
import { publishModel } from '../../runtime/model/publish-model';
import type { ModelManifest } from '../../runtime/spec/model-manifest';
import { temporaryFolder } from '../server/harness/model-repository';

const SHA = (text: string): string => createHash('sha256').update(text).digest('hex');

const FULL: Omit<ModelManifest, 'schema'> = {
  name: 'digits',
  version: 3,
  files: [{ path: 'model.onnx', bytes: 10, sha256: SHA('model') }],
  facts: {
    inputs: [{ name: 'pixels', datatype: 'FP32', shape: ['batch', 64] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: ['batch', 10] }],
    opsets: [{ domain: '', version: 17 }],
    operators: [{ domain: '', operator: 'Gemm', count: 1 }],
    weightBytes: 5,
    fileBytes: 10,
  } as unknown as ModelManifest['facts'],
  licence: 'Apache-2.0 OR MIT',
  evaluation: {
    model: [{ path: 'model.onnx', sha256: SHA('model') }],
    dataset: { name: 'digits-test', sha256: SHA('data'), rows: 360 },
    task: 'classification',
    metrics: { accuracy: 0.97 },
    speed: { p99Ms: 1.5 },
    gates: [],
    passed: false,
    evaluatedAt: '2026-01-02T03:04:05Z',
    tools: { slipway: '0.1.0' },
  },
  provenance: {
    source: [{ path: 'network.pt', sha256: SHA('source') }],
    steps: [
      {
        command: 'slipway model convert network.pt',
        tools: { torch: '2.15.0' },
        inputs: [
          { path: 'network.pt', sha256: SHA('source') },
          { path: 'samples.npz', sha256: SHA('samples') },
        ],
        outputs: [{ path: 'model.onnx', sha256: SHA('model') }],
        at: '2026-01-01T00:00:00Z',
      },
    ],
  },
};

async function violations(text: string): Promise<unknown> {
  return new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(text);
}

test('the bill of a version with everything in it is CycloneDX 1.6 by its own schema', async () => {
  const text = modelSbom(FULL);
  expect(await violations(text)).toBeNull();
  const { metadata, components } = JSON.parse(text);
  expect(metadata.component.hashes).toEqual([{ alg: 'SHA-256', content: SHA('model') }]);
  expect(metadata.component.licenses).toEqual([{ expression: 'Apache-2.0 OR MIT' }]);
  expect(metadata.component.pedigree.notes).toContain('slipway model convert network.pt');
  const data = components.filter(({ type }: { type: string }) => type === 'data');
  expect(data.map(({ hashes }: any) => hashes[0].content)).toEqual([SHA('data'), SHA('samples')]);
  expect(metadata.tools.components).toContainEqual({ type: 'application', name: 'torch', version: '2.15.0' });
});

test('the schema refuses what is no bill, so its silence means something', async () => {
  const broken = { ...JSON.parse(modelSbom(FULL)), components: 'none' };
  expect(await violations(JSON.stringify(broken))).not.toBeNull();
});

test('a published bill is one of the files of its version, and the same twice', async () => {
  const publish = async () => {
    const repository = temporaryFolder();
    const options = { source: 'models/digits/model.onnx', name: 'digits', repository, golden: false, sbom: true };
    const { manifest } = await publishModel(options);
    return { manifest, text: readFileSync(path.join(repository, 'digits/1/sbom.cdx.json'), 'utf8') };
  };
  const [first, second] = [await publish(), await publish()];
  expect(await violations(first.text)).toBeNull();
  expect(first.text).toBe(second.text);
  expect(first.manifest.files.find((file) => file.path === 'sbom.cdx.json')?.sha256).toBe(SHA(first.text));
});
