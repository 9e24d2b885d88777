import type { InferenceServiceSpec, ModelFacts, ModelFile } from 'slipway';

/** Facts of a small batchable classifier, as a file would give them. */
export const CLASSIFIER_FACTS: ModelFacts = {
  inputs: [{ name: 'image', datatype: 'FP32', shape: ['batch', 3, 224, 224] }],
  outputs: [{ name: 'probabilities', datatype: 'FP32', shape: ['batch', 1000] }],
  opsets: [{ domain: '', version: 17 }],
  operators: [{ domain: '', operator: 'Conv', count: 53 }],
  weightBytes: 100 * 2 ** 20,
  fileBytes: 100 * 2 ** 20 + 4_096,
};

export const CLASSIFIER_FILES: readonly ModelFile[] = [
  { path: 'model.onnx', bytes: 100 * 2 ** 20 + 4_096, sha256: 'a'.repeat(64) },
  { path: 'manifest.json', bytes: 900, sha256: 'b'.repeat(64) },
];

export const CPU_SPEC: InferenceServiceSpec = {
  name: 'resnet',
  models: [{ name: 'resnet50', version: 3, facts: CLASSIFIER_FACTS, files: CLASSIFIER_FILES }],
};

export const GPU_SPEC: InferenceServiceSpec = {
  ...CPU_SPEC,
  instanceTypes: ['g6.xlarge', 'g5.xlarge'],
  metricsFrom: 'keda',
};
