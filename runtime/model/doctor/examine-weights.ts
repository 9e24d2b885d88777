import type { ModelOutline } from '../../onnx/read-model-outline';
import { SIZING } from '../../spec/defaults';
import type { Finding } from './finding';

// One file per tensor is what exporters do by default; object stores answer each in tens of milliseconds.
const MANY_FILES = 16;
const BYTES_PER_MIB = 1_048_576;

export function examineWeights({ weightBytes, externalFiles }: ModelOutline): readonly Finding[] {
  const weightMiB = weightBytes / BYTES_PER_MIB;
  const memory: Finding = {
    code: 'memory',
    severity: 'info',
    message:
      `weights take ${round(weightMiB)} MiB; a session of them about ${round(weightMiB * SIZING.sessionBytesPerWeightByte)} MiB, ` +
      'and every executor of its own session the same again',
  };
  if (externalFiles <= MANY_FILES) return [memory];
  return [
    {
      code: 'external-files',
      severity: 'warning',
      message: `the weights lie in ${externalFiles} files, and each is fetched on its own`,
      suggestion: 'save them as one: onnx.save(model, path, save_as_external_data=True, all_tensors_to_one_file=True)',
    },
    memory,
  ];
}

function round(mebibytes: number): string {
  return mebibytes < 10 ? mebibytes.toFixed(1) : mebibytes.toFixed(0);
}
