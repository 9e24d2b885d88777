import type { ModelOutline, OutlinedTensor } from '../../onnx/read-model-outline';
import type { Finding } from './finding';
import { listNames } from './list-names';

/** What a request cannot carry, or carries at a price. */
export function examineTensors({ inputs, outputs }: ModelOutline): readonly Finding[] {
  return [
    ...inputs.flatMap((tensor) => examineType('input', tensor)),
    ...outputs.flatMap((tensor) => examineType('output', tensor)),
    ...examineRanks([...inputs, ...outputs]),
    ...examineIntegers(inputs),
    ...examineStrings([...inputs, ...outputs]),
  ];
}

function examineType(side: 'input' | 'output', { name, kind, element, datatype }: OutlinedTensor): readonly Finding[] {
  if (kind !== 'a tensor') {
    const isZipMap = side === 'output' && (kind === 'a sequence' || kind === 'a map');
    return [
      {
        code: 'non-tensor',
        severity: 'error',
        message: `${side} '${name}' is ${kind}, and a request carries tensors only`,
        suggestion: isZipMap
          ? 'for a scikit-learn classifier export with zipmap=False'
          : `export the model with a tensor as ${side}`,
        ...(isZipMap ? { command: 'slipway model convert MODEL.skops -o MODEL.onnx' } : {}),
      },
    ];
  }
  if (datatype !== undefined) return [];
  return [
    {
      code: 'type-unsupported',
      severity: 'error',
      message: `${side} '${name}' is ${element}, which the runtime cannot carry`,
      suggestion: 'cast it to another type inside the model',
    },
  ];
}

function examineRanks(tensors: readonly OutlinedTensor[]): readonly Finding[] {
  const unknown = tensors.filter(({ kind, shape }) => kind === 'a tensor' && shape === undefined);
  if (unknown.length === 0) return [];
  return [
    {
      code: 'rank-unknown',
      severity: 'warning',
      message: `the file does not say how many dimensions ${listNames(unknown)} ${unknown.length === 1 ? 'has' : 'have'}`,
      suggestion: 'run onnx.shape_inference.infer_shapes on it, or export it with shapes',
    },
  ];
}

function examineIntegers(inputs: readonly OutlinedTensor[]): readonly Finding[] {
  const wide = inputs.filter(({ datatype }) => datatype === 'INT64' || datatype === 'UINT64');
  if (wide.length === 0) return [];
  return [
    {
      code: 'int64-input',
      severity: 'info',
      message:
        `input ${listNames(wide)} has 64-bit integers: JSON clients round what lies beyond 2^53, ` +
        'and every element takes twice the bytes of INT32',
      suggestion: 'send them as binary tensors or over gRPC, or take INT32 and cast inside the model',
    },
  ];
}

function examineStrings(tensors: readonly OutlinedTensor[]): readonly Finding[] {
  const strings = tensors.filter(({ datatype }) => datatype === 'BYTES');
  if (strings.length === 0) return [];
  return [
    {
      code: 'string-tensor',
      severity: 'info',
      message: `${listNames(strings)} ${strings.length === 1 ? 'holds' : 'hold'} strings, which are copied one by one and never run on a GPU`,
    },
  ];
}
