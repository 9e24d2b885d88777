import { castNpy, type NpyHeader } from '../../onnx/npy';
import { fromHalfBits } from '../../onnx/half-float';
import { TensorEncodingError, type Tensor, type TensorData } from '../../onnx/tensor-encoding';
import type { TensorSignature } from '../../spec/model-facts';
import { ModelToolError } from '../tool-error';
import type { DataBatch, LabelKind, LabelledBox, LabelOf } from './dataset';
import { NpzFile, type NpzRows } from './npz-file';
import { readLabel, type LabelReading } from './read-labels';
import { fitsRow, showDimensions } from './row-shape';

/** What labels are called in such files. */
const LABEL_NAMES = ['labels', 'label', 'y', 'targets', 'target'];
/** Boxes of all pictures one after the other, what is in each, and the row of each. */
const BOX_NAMES = ['boxes', 'box_classes', 'box_rows', 'box_crowd'] as const;

export interface NpzSource<K extends LabelKind> {
  readonly path: string;
  readonly inputs: readonly TensorSignature[];
  readonly reading: LabelReading<K>;
  /** The array of labels. @default - `labels`, `label`, `y`, `targets` or `target` */
  readonly labelName?: string;
  readonly maxBytes: number;
}

/** How many rows an `.npz` file has. @throws ModelToolError as `npzBatches` */
export async function npzRows<K extends LabelKind>(source: NpzSource<K>): Promise<number> {
  const file = await NpzFile.open(source.path, source.maxBytes);
  try {
    return matchArrays(file, source).rows;
  } finally {
    file.close();
  }
}

/** Rows of an `.npz` file whose arrays are named like the model's inputs; where it has one input, of the only array there is. */
export async function* npzBatches<K extends LabelKind>(
  source: NpzSource<K>,
  size: number,
): AsyncGenerator<DataBatch<LabelOf[K]>, void, void> {
  const file = await NpzFile.open(source.path, source.maxBytes);
  const open: NpzRows[] = [];
  try {
    const { rows, inputNames, labelName } = matchArrays(file, source);
    for (const name of inputNames) open.push(await file.rows(name));
    const labels = await openLabels(file, source, labelName, open);
    for (let from = 0; from < rows; from += size) {
      const count = Math.min(size, rows - from);
      const inputs: Tensor[] = [];
      for (const [i, input] of source.inputs.entries()) {
        const { header } = open[i]!;
        const data = castTo(input, { header, data: await open[i]!.take(count) }, source.path);
        inputs.push({ name: input.name, datatype: input.datatype, shape: [count, ...header.shape.slice(1)], data });
      }
      yield { from, rows: count, inputs, labels: await labels(from, count) };
    }
  } finally {
    for (const reader of open) reader.close();
    file.close();
  }
}

interface MatchedArrays {
  readonly rows: number;
  readonly inputNames: readonly string[];
  readonly labelName: string | undefined;
}

function matchArrays<K extends LabelKind>(file: NpzFile, source: NpzSource<K>): MatchedArrays {
  const { path, inputs } = source;
  const misfit = (message: string): ModelToolError => new ModelToolError('DATA_MISFIT', path, message);
  const labelName = findLabels(file, source);
  const others = file.names.filter((name) => name !== labelName && !(BOX_NAMES as readonly string[]).includes(name));
  const [only, another] = others;
  const inputNames = inputs.map(({ name }) => {
    if (file.header(name) !== undefined) return name;
    if (inputs.length === 1 && only !== undefined && another === undefined) return only;
    throw misfit(`must have an array for the input '${name}', got ${file.names.map((each) => `'${each}'`).join(', ')}`);
  });
  inputs.forEach((input, i) => {
    const { shape } = file.header(inputNames[i]!)!;
    if (shape.length > 0 && fitsRow(shape.slice(1), input)) return;
    const wanted = showDimensions(['rows', ...input.shape.slice(1)]);
    throw misfit(
      `array '${inputNames[i]!}' must have the shape ${wanted} of the input '${input.name}', got ${showDimensions(shape)}`,
    );
  });
  const rows = file.header(inputNames[0]!)!.shape[0]!;
  const lined = labelName === undefined || source.reading.kind === 'none' ? inputNames : [...inputNames, labelName];
  for (const name of lined) {
    const [count] = file.header(name)!.shape;
    if (count !== rows)
      throw misfit(`array '${name}' must have as many rows as '${inputNames[0]!}' (${rows}), got ${count ?? 'none'}`);
  }
  return { rows, inputNames, labelName };
}

function findLabels<K extends LabelKind>(
  file: NpzFile,
  { path, reading, labelName, inputs }: NpzSource<K>,
): string | undefined {
  const names = labelName === undefined ? LABEL_NAMES : [labelName];
  const found = names.find((name) => file.header(name) !== undefined && !inputs.some((input) => input.name === name));
  const isNeeded = reading.kind !== 'none' && reading.kind !== 'boxes';
  if (found !== undefined || !isNeeded) return found;
  throw new ModelToolError(
    'DATA_MISFIT',
    path,
    `must have an array of labels (${names.join(', ')}), got ${file.names.map((name) => `'${name}'`).join(', ')}`,
  );
}

function castTo(
  { name, datatype }: TensorSignature,
  { header, data }: { header: NpyHeader; data: TensorData },
  path: string,
): TensorData {
  try {
    return castNpy({ datatype: header.datatype, data }, datatype);
  } catch (error) {
    if (!TensorEncodingError.is(error)) throw error;
    throw new ModelToolError('DATA_MISFIT', path, `input '${name}': ${error.message}`);
  }
}

type TakeLabels<L> = (from: number, count: number) => Promise<readonly L[]>;

async function openLabels<K extends LabelKind>(
  file: NpzFile,
  source: NpzSource<K>,
  name: string | undefined,
  open: NpzRows[],
): Promise<TakeLabels<LabelOf[K]>> {
  const { reading, path } = source;
  const row = (given: unknown, i: number): LabelOf[K] => readLabel(given, reading, `row ${i} of ${path}`);
  if (reading.kind === 'none')
    return (from, count) => Promise.resolve(Array.from({ length: count }, (_, i) => row(undefined, from + i)));
  if (reading.kind === 'boxes') {
    const boxes = await readBoxArrays(file, path);
    return (from, count) => Promise.resolve(Array.from({ length: count }, (_, i) => row(boxes(from + i), from + i)));
  }
  const labels = await file.rows(name!);
  open.push(labels);
  const { shape, datatype } = labels.header;
  const width = shape.length === 1 ? 1 : shape.length === 2 ? shape[1]! : 0;
  const isRight = reading.kind === 'classes' ? shape.length === 2 : reading.kind === 'class' ? width === 1 : width > 0;
  if (!isRight) {
    const wanted = { class: '[rows]', classes: '[rows, classes]', numbers: '[rows] or [rows, numbers]' }[
      reading.kind as 'class'
    ];
    throw new ModelToolError(
      'LABEL_INVALID',
      path,
      `array '${name!}' must have the shape ${wanted}, got ${showDimensions(shape)}`,
    );
  }
  return async (from, count) => {
    const data = await labels.take(count);
    const at = (i: number): unknown => (datatype === 'FP16' ? fromHalfBits(data[i] as number) : data[i]);
    return Array.from({ length: count }, (_, i) => {
      const given = Array.from({ length: width }, (_each, k) => at(i * width + k));
      if (reading.kind !== 'classes') return row(width === 1 ? given[0] : given, from + i);
      return row(chosen(given, `row ${from + i} of ${path}`), from + i);
    });
  };
}

/** The indexes that are 1. */
function chosen(given: readonly unknown[], at: string): readonly number[] {
  return given.flatMap((each, k) => {
    const bit = Number(each);
    if (bit === 0 || bit === 1) return bit === 1 ? [k] : [];
    throw new ModelToolError('LABEL_INVALID', at, `each class of the label must be 0 or 1, got ${String(each)}`);
  });
}

/** All boxes, by row. They are few beside the pictures. */
async function readBoxArrays(file: NpzFile, path: string): Promise<(row: number) => unknown> {
  const [boxes, classes, rows, crowd] = await Promise.all(BOX_NAMES.map((name) => readWhole(file, name)));
  const count = rows?.length ?? 0;
  if (
    boxes === undefined ||
    classes === undefined ||
    rows === undefined ||
    boxes.length !== count * 4 ||
    classes.length !== count
  ) {
    throw new ModelToolError(
      'LABEL_INVALID',
      path,
      'boxes need the arrays boxes [n, 4], box_classes [n] and box_rows [n], the row of each box',
    );
  }
  const byRow = new Map<number, { boxes: unknown[]; classes: unknown[]; crowd: unknown[] }>();
  for (let i = 0; i < count; i++) {
    const row = Number(rows[i]);
    const label = byRow.get(row) ?? { boxes: [], classes: [], crowd: [] };
    byRow.set(row, label);
    label.boxes.push(Array.from({ length: 4 }, (_, k) => Number(boxes[i * 4 + k])));
    label.classes.push(classes[i]);
    label.crowd.push(Number(crowd?.[i] ?? 0));
  }
  return (row) => byRow.get(row) ?? { boxes: [] satisfies LabelledBox[], classes: [] };
}

async function readWhole(file: NpzFile, name: string): Promise<readonly unknown[] | undefined> {
  const header = file.header(name);
  if (header === undefined || header.shape.length === 0) return undefined;
  const rows = await file.rows(name);
  try {
    const data = header.shape[0] === 0 ? [] : await rows.take(header.shape[0]!);
    return header.datatype === 'FP16' ? Array.from(data as Uint16Array, fromHalfBits) : Array.from<unknown>(data);
  } finally {
    rows.close();
  }
}
