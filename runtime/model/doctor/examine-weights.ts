import type { ModelOutline } from '../../onnx/read-model-outline';
import { SIZING } from '../../spec/defaults';
import type { Finding } from './finding';

// One file per tensor is what exporters do by default; object stores answer each in tens of milliseconds.
const MANY_FILES = 16;
/** From here on it shows in what a replica costs. */
const LARGE_MIB = 64;
const QUANTIZED = /Quantize|Integer|^QLinear/;
const BYTES_PER_MIB = 1_048_576;

export function examineWeights({ weightBytes, externalFiles, operators }: ModelOutline): readonly Finding[] {
  const weightMiB = weightBytes / BYTES_PER_MIB;
  const memory: Finding = {
    code: 'memory',
    severity: 'info',
    message:
      `weights take ${round(weightMiB)} MiB; a session of them about ${round(weightMiB * SIZING.sessionBytesPerWeightByte)} MiB, ` +
      'and every executor of its own session the same again',
    ...(weightMiB < LARGE_MIB || operators.some(({ operator }) => QUANTIZED.test(operator))
      ? {}
      : {
          suggestion: '8-bit weights take a quarter of what FP32 takes',
          command: 'slipway model search MODEL.onnx --data ROWS -o FOLDER --max-accuracy-drop 1%',
        }),
  };
  if (externalFiles <= MANY_FILES) return [memory];
  return [
    {
      code: 'external-files',
      severity: 'warning',
      message: `the weights lie in ${externalFiles} files, and each is fetched on its own`,
      suggestion: 'save them as one',
      command: 'slipway model compile MODEL.onnx -o FOLDER',
    },
    memory,
  ];
}

function round(mebibytes: number): string {
  return mebibytes < 10 ? mebibytes.toFixed(1) : mebibytes.toFixed(0);
}
