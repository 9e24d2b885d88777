import { open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { encodeTensorData } from '../../onnx/tensor-encoding';
import type { TensorSignature } from '../../spec/model-facts';
import { openDataset } from '../data/open-dataset';
import type { ReadPreprocessing } from '../preprocessing-file';
import { ModelToolError } from '../tool-error';

/** Arrays on a disk, of one shape from the first row to the last. */
export interface ExportedRows {
  readonly rows: number;
  /** Little-endian and row-major, without a header. */
  readonly inputs: readonly { name: string; file: string; datatype: string; shape: readonly number[] }[];
  /** 64-bit whole numbers. */
  readonly labels: string;
  /** SHA-256 of the data set. */
  readonly sha256: string;
}

const NUMPY: Readonly<Record<string, string>> = {
  BOOL: '|b1',
  UINT8: '|u1',
  INT8: '|i1',
  UINT16: '<u2',
  INT16: '<i2',
  UINT32: '<u4',
  INT32: '<i4',
  UINT64: '<u8',
  INT64: '<i8',
  FP16: '<f2',
  FP32: '<f4',
  FP64: '<f8',
};
const ROWS_AT_ONCE = 256;

/** How a data set is read. */
export interface RowReading {
  readonly inputs: readonly TensorSignature[];
  readonly maxRows: number | undefined;
  readonly preprocessing: ReadPreprocessing | undefined;
  /** By index. @default - labels are numbers, or the folders of pictures in the order of their names */
  readonly classNames?: readonly string[] | undefined;
}

/**
 * Writes the rows of a data set as plain arrays, which a training reads again and again without another reader of formats.
 * @throws ModelToolError DATA_… and LABEL_INVALID from reading; DATA_MISFIT for text, and for rows of several shapes
 */
export async function exportRows(
  place: string,
  folder: string,
  { inputs, maxRows, preprocessing, classNames }: RowReading,
): Promise<ExportedRows> {
  const misfit = (message: string): ModelToolError => new ModelToolError('DATA_MISFIT', place, message);
  for (const { name, datatype } of inputs) {
    if (NUMPY[datatype] === undefined) throw misfit(`a student learns from numbers, and '${name}' is text`);
  }
  const dataset = await openDataset(place, {
    inputs,
    labels: 'class',
    classNames,
    ...(maxRows === undefined ? {} : { maxRows }),
    ...(preprocessing === undefined ? {} : { preprocessing }),
  });
  const files = inputs.map((_, i) => path.join(folder, `${i}.bin`));
  const labelsFile = path.join(folder, 'labels.bin');
  const handles: FileHandle[] = [];
  let shapes: readonly (readonly number[])[] | undefined;
  let rows = 0;
  try {
    for (const file of [...files, labelsFile]) handles.push(await open(file, 'wx'));
    for await (const batch of dataset.batches(ROWS_AT_ONCE)) {
      const own = batch.inputs.map(({ shape }) => shape.slice(1));
      shapes ??= own;
      if (JSON.stringify(own) !== JSON.stringify(shapes)) {
        throw misfit(
          `all rows must have one shape, got ${JSON.stringify(shapes)} and ${JSON.stringify(own)} at row ${batch.from}`,
        );
      }
      for (const [i, { datatype, data }] of batch.inputs.entries()) {
        await handles[i]!.writeFile(encodeTensorData(datatype, data));
      }
      const labels = BigInt64Array.from(batch.labels, (label) => BigInt(label));
      await handles.at(-1)!.writeFile(new Uint8Array(labels.buffer));
      rows += batch.rows;
    }
  } finally {
    for (const handle of handles) await handle.close();
  }
  return {
    rows,
    inputs: inputs.map(({ name, datatype }, i) => ({
      name,
      file: files[i]!,
      datatype: NUMPY[datatype]!,
      shape: [rows, ...(shapes?.[i] ?? [])],
    })),
    labels: labelsFile,
    sha256: await dataset.digest(),
  };
}
