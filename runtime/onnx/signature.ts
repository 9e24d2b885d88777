import type { TensorSignature } from '../spec/model-facts';
import { elementType } from './element-types';
import type { GraphProto, TensorShapeProto, ValueInfoProto } from './generated/onnx-ml_pb';
import { OnnxFileError } from './onnx-file-error';

/** What a value that is no tensor is called. */
export const TYPE_WORDS = {
  sequenceType: 'a sequence',
  mapType: 'a map',
  optionalType: 'optional',
  sparseTensorType: 'a sparse tensor',
  opaqueType: 'opaque',
} as const;

/**
 * What a caller must send: the graph's inputs without those that have an initializer, which is their default value.
 * @throws OnnxFileError TYPE_UNSUPPORTED or SHAPE_UNKNOWN, naming the tensor.
 */
export function readInputs(graph: GraphProto, file: string): readonly TensorSignature[] {
  const defaults = new Set(graph.initializer.map((tensor) => tensor.name));
  for (const sparse of graph.sparseInitializer) defaults.add(sparse.values?.name ?? '');
  return graph.input.filter((input) => !defaults.has(input.name)).map((input) => readTensor('input', input, file));
}

/** What a caller gets. Errors as for `readInputs`. */
export function readOutputs(graph: GraphProto, file: string): readonly TensorSignature[] {
  return graph.output.map((output) => readTensor('output', output, file));
}

function readTensor(side: 'input' | 'output', value: ValueInfoProto, file: string): TensorSignature {
  const what = `${side} '${value.name}'`;
  const unsupported = (message: string) => new OnnxFileError('TYPE_UNSUPPORTED', file, `${what} ${message}`);
  const type = value.type?.value;
  if (type?.case === undefined) throw unsupported('has no type: export the model with typed inputs and outputs');
  if (type.case !== 'tensorType') {
    const isZipMap = side === 'output' && (type.case === 'sequenceType' || type.case === 'mapType');
    const hint = isZipMap ? '; for a scikit-learn classifier export with zipmap=False' : '';
    throw unsupported(`is ${TYPE_WORDS[type.case]}, and the runtime carries tensors only${hint}`);
  }
  const element = elementType(type.value.elemType);
  if (element?.datatype === undefined) {
    const name = element?.name ?? `of element type ${type.value.elemType}`;
    throw unsupported(`is ${name}, which the runtime cannot carry: cast it to ${substitute(name)} inside the model`);
  }
  if (type.value.shape === undefined) {
    throw new OnnxFileError(
      'SHAPE_UNKNOWN',
      file,
      `${what} declares no shape, so its rank is unknown: run onnx.shape_inference.infer_shapes, or export it with one`,
    );
  }
  return { name: value.name, datatype: element.datatype, shape: readShape(type.value.shape) };
}

function substitute(type: string): string {
  if (type.startsWith('uint')) return 'uint8';
  return type.startsWith('int') ? 'int8' : 'float or float16';
}

export function readShape({ dim }: TensorShapeProto): readonly (number | string)[] {
  return dim.map(readDimension);
}

function readDimension({ value }: TensorShapeProto['dim'][number]): number | string {
  if (value.case === 'dimParam') return value.value;
  // Some exporters write -1 for a free dimension.
  return value.case === 'dimValue' && value.value >= 0n ? Number(value.value) : '';
}
