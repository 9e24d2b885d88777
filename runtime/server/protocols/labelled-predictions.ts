import { fromHalfBits } from '../../onnx/half-float';
import { elementCount, type Tensor } from '../../onnx/tensor-encoding';
import { writeNumber } from '../../onnx/write-tensor-json';
import { greatest } from '../classification';
import type { InferTarget } from '../infer-request';
import { writeNestedRow, writeTypedElements } from '../../onnx/nested-json';
import { writePredictions } from './tensorflow-serving';

/** The best classes of a row that are named; the first of them is the label. */
const SHOWN_CLASSES = 5;

/**
 * Predictions for people: an output whose classes have names becomes, for each row, `{"label", "score", "classes"}` with the
 * five greatest elements; one that holds indices of classes becomes `{"label"}`. Other outputs stay what they are.
 */
export function labelledPredictions(outputs: readonly Tensor[], { labels, maxRows }: InferTarget): string {
  const writers = outputs.map((output) => labelWriter(output, labels?.get(output.name), maxRows !== undefined));
  const rows = outputs[0]?.shape[0] ?? 1;
  const isAligned = outputs.every(({ shape }) => (shape[0] ?? 1) === rows);
  if (!isAligned || writers.every((writer) => writer === undefined)) {
    return writePredictions(outputs);
  }
  const predictions = Array.from({ length: rows }, (_, row) => {
    const values = outputs.map((output, i) => writers[i]?.(row) ?? writeNestedRow(output, row, writeTypedElements));
    if (outputs.length === 1) return values[0];
    return `{${outputs.map(({ name }, i) => `${JSON.stringify(name)}:${values[i]}`).join(',')}}`;
  });
  return `[${predictions.join(',')}]`;
}

type Numbers = Exclude<Tensor['data'], readonly string[]>;

function labelWriter(
  { datatype, shape, data }: Tensor,
  labels: readonly string[] | undefined,
  hasRows: boolean,
): ((row: number) => string) | undefined {
  if (labels === undefined || datatype === 'BYTES' || shape.length === 0) return undefined;
  const numbers = datatype === 'FP16' ? Float32Array.from(data as Uint16Array, fromHalfBits) : (data as Numbers);
  const size = elementCount(shape.slice(1));
  if (size === labels.length && (hasRows || shape[0] === 1)) {
    return (row) => {
      const classes = greatest(numbers, row * size, size, SHOWN_CLASSES).map((index) =>
        writeClass(labels[index]!, numbers[row * size + index]!),
      );
      return classes.length === 0 ? '{"classes":[]}' : `${classes[0]!.slice(0, -1)},"classes":[${classes.join(',')}]}`;
    };
  }
  const isIndex = size === 1 && /^U?INT/.test(datatype);
  return isIndex ? (row) => `{"label":${JSON.stringify(labels[Number(numbers[row])] ?? null)}}` : undefined;
}

function writeClass(label: string, score: number | bigint): string {
  return `{"label":${JSON.stringify(label)},"score":${writeNumber(Number(score))}}`;
}
