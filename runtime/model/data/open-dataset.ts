import { stat } from 'node:fs/promises';
import path from 'node:path';
import { sliceRows } from '../../onnx/slice-rows';
import type { UserField } from '../../preprocess/preprocessor';
import type { TensorSignature } from '../../spec/model-facts';
import { digestPath } from '../digest-path';
import type { ReadPreprocessing } from '../preprocessing-file';
import { ModelToolError } from '../tool-error';
import { batchRows } from './batch-rows';
import { csvRows, csvUserRows } from './csv-dataset';
import type { DataBatch, Dataset, DatasetFormat, LabelKind, LabelOf } from './dataset';
import { imageRows, listImageFolder } from './image-folder';
import { firstJsonlInputs, jsonlRows, jsonlUserRows } from './jsonl-dataset';
import { npzBatches, npzRows } from './npz-dataset';
import type { LabelReading } from './read-labels';
import { assertTakesRows } from './row-shape';
import {
  batchUserRows,
  openPreprocessor,
  plainImagePreprocessing,
  takeAsTheyAre,
  type UserRowReader,
} from './user-rows';

export interface DatasetOptions<K extends LabelKind> extends Omit<LabelReading<K>, 'kind'> {
  /** Inputs of the model: dimension 0 of each is taken for rows. */
  readonly inputs: readonly TensorSignature[];
  /** What a row's label is; `none` reads rows without labels, for calibration. */
  readonly labels: K;
  /** @default - by the name's ending; a folder holds pictures */
  readonly format?: DatasetFormat;
  /**
   * How pictures, text and records become inputs, as the model's manifest says. `.npz` has tensors, and so have lines of `.jsonl`
   * that name the model's inputs. @default - pictures are stretched to the model's size, from 0 to 1 for floating point, else
   * 0 to 255
   */
  readonly preprocessing?: ReadPreprocessing;
  /**
   * What users send of a model whose preprocessing runs elsewhere: then rows come as users have them, and no tensors are made.
   * @default - `preprocessing` says it
   */
  readonly userFields?: readonly UserField[];
  /** CSV: the columns of each input. @default - see `csvRows` */
  readonly columns?: Readonly<Record<string, readonly string[]>>;
  /** The array or the columns of labels. @default - `label`, `labels`, `y`, `target` … */
  readonly labelNames?: readonly string[];
  /** Most rows that are read, from the first on. @default - all */
  readonly maxRows?: number;
  /** Most bytes that the arrays of an `.npz` may unpack to. @default 64 GiB */
  readonly maxUnpackedBytes?: number;
}

const FORMATS: Readonly<Record<string, DatasetFormat>> = {
  '.npz': 'npz',
  '.csv': 'csv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
};
/** They would have to be run to be read. */
const PICKLES = ['.pkl', '.pickle', '.pt', '.pth', '.joblib', '.dill'];
const MAX_UNPACKED_BYTES = 64 * 2 ** 30;

/**
 * Opens labelled rows: `.npz`, a folder of pictures (`<class>/<file>.png`), `.csv` with a header, or `.jsonl`. Rows are
 * checked against the model while they are read, and never executed.
 * @throws ModelToolError DATA_UNREADABLE, DATA_UNSAFE, DATA_TOO_LARGE, DATA_MISFIT, DATA_EMPTY or LABEL_INVALID
 */
export async function openDataset<K extends LabelKind>(
  place: string,
  options: DatasetOptions<K>,
): Promise<Dataset<LabelOf[K]>> {
  assertTakesRows(options.inputs, place);
  const format = options.format ?? (await formatOf(place));
  const source = await openSource(place, format, options);
  const { maxRows = Infinity } = options;
  if (source.rows === 0) throw empty(place);
  return {
    name: path.basename(path.resolve(place)),
    format,
    rows: source.rows === undefined ? undefined : Math.min(source.rows, maxRows),
    classNames: source.classNames,
    batches: (size) => firstRows(source.batches(size), maxRows, place),
    digest: () => digestPath(place),
  };
}

interface Source<L> {
  readonly rows: number | undefined;
  readonly classNames: readonly string[] | undefined;
  batches(size: number): AsyncGenerator<DataBatch<L>, void, void>;
}

async function formatOf(place: string): Promise<DatasetFormat> {
  const ending = path.extname(place).toLowerCase();
  let isFolder: boolean;
  try {
    isFolder = (await stat(place)).isDirectory();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ModelToolError(
      'DATA_UNREADABLE',
      place,
      code === 'ENOENT' ? 'does not exist' : `cannot be read: ${message}`,
    );
  }
  if (isFolder) return 'images';
  if (PICKLES.includes(ending)) {
    throw new ModelToolError(
      'DATA_UNSAFE',
      place,
      'is a pickle, which would have to be run to be read: save it as .npz',
    );
  }
  const format = Object.hasOwn(FORMATS, ending) ? FORMATS[ending] : undefined;
  if (format !== undefined) return format;
  throw new ModelToolError(
    'DATA_UNREADABLE',
    place,
    `must be a folder of pictures or end in ${Object.keys(FORMATS).join(', ')}`,
  );
}

async function openSource<K extends LabelKind>(
  place: string,
  format: DatasetFormat,
  options: DatasetOptions<K>,
): Promise<Source<LabelOf[K]>> {
  const {
    inputs,
    labels,
    classNames,
    classes,
    boxFormat,
    labelNames,
    columns,
    maxUnpackedBytes = MAX_UNPACKED_BYTES,
  } = options;
  const reading: LabelReading<K> = { kind: labels, classNames, classes, boxFormat };
  switch (format) {
    case 'npz': {
      const source = { path: place, inputs, reading, labelName: labelNames?.[0], maxBytes: maxUnpackedBytes };
      return { rows: await npzRows(source), classNames: undefined, batches: (size) => npzBatches(source, size) };
    }
    case 'csv': {
      const source = { path: place, inputs, reading, columns, labelColumns: labelNames };
      const reader = await readerOf(place, options);
      return {
        rows: undefined,
        classNames: undefined,
        batches: (size) =>
          reader === undefined
            ? batchRows(csvRows(source), inputs, size)
            : batchUserRows(csvUserRows(source, fieldNames(reader)), reader, size),
      };
    }
    case 'jsonl': {
      const source = { path: place, inputs, reading };
      const reader = await jsonlReader(place, options);
      return {
        rows: undefined,
        classNames: undefined,
        batches: (size) =>
          reader === undefined
            ? batchRows(jsonlRows(source), inputs, size)
            : batchUserRows(jsonlUserRows(source, reader.fields), reader, size),
      };
    }
    case 'images':
      return openImages(place, reading, options);
  }
}

/** @returns undefined where rows are tensors */
async function readerOf(
  place: string,
  { preprocessing, userFields, inputs }: DatasetOptions<LabelKind>,
): Promise<UserRowReader | undefined> {
  if (preprocessing !== undefined) return openPreprocessor(preprocessing, inputs, place);
  return userFields === undefined ? undefined : takeAsTheyAre(userFields);
}

function fieldNames({ fields }: UserRowReader): readonly string[] {
  return fields.map(({ name }) => name);
}

/** Lines may hold what users have, or tensors: the first one tells. */
async function jsonlReader(place: string, options: DatasetOptions<LabelKind>): Promise<UserRowReader | undefined> {
  const reader = await readerOf(place, options);
  if (reader === undefined) return undefined;
  const given = await firstJsonlInputs(place);
  // An input may be called like what it is made of: then a list is a tensor.
  const isTensor = ({ name }: { readonly name: string }): boolean =>
    Object.hasOwn(given, name) && Array.isArray(given[name]);
  return options.inputs.every(isTensor) ? undefined : reader;
}

async function openImages<K extends LabelKind>(
  place: string,
  reading: LabelReading<K>,
  options: DatasetOptions<K>,
): Promise<Source<LabelOf[K]>> {
  const { inputs } = options;
  const [input, another] = inputs as [TensorSignature, ...TensorSignature[]];
  const misfit = (message: string): ModelToolError => new ModelToolError('DATA_MISFIT', place, message);
  if (another !== undefined) throw misfit(`pictures need a model with one input, and this one has ${inputs.length}`);
  if (reading.kind === 'numbers' || reading.kind === 'boxes') {
    throw misfit('a folder of pictures gives classes: numbers and boxes are labels of .npz or .jsonl');
  }
  const reader =
    (await readerOf(place, options)) ??
    (await openPreprocessor(
      { preprocessing: { [input.name]: plainImagePreprocessing(input, place) }, files: new Map() },
      inputs,
      place,
    ));
  const [field, otherField] = reader.fields;
  if (field?.kind !== 'image' || otherField !== undefined)
    throw misfit(`input '${input.name}' is made of ${field?.kind ?? 'columns'}, not of pictures`);
  const folder = await listImageFolder(place, reading);
  return {
    rows: folder.pictures.length,
    classNames: folder.classNames,
    batches: (size) => batchUserRows(imageRows(folder, field.name, reading), reader, size),
  };
}

async function* firstRows<L>(
  batches: AsyncGenerator<DataBatch<L>, void, void>,
  maxRows: number,
  place: string,
): AsyncGenerator<DataBatch<L>, void, void> {
  let rows = 0;
  for await (const batch of batches) {
    const left = maxRows - rows;
    rows += batch.rows;
    yield batch.rows <= left ? batch : cut(batch, left);
    if (rows >= maxRows) return;
  }
  if (rows === 0) throw empty(place);
}

function cut<L>({ from, inputs, users, labels }: DataBatch<L>, rows: number): DataBatch<L> {
  return {
    from,
    rows,
    inputs: inputs.map((input) => sliceRows(input, 0, rows)),
    ...(users === undefined ? {} : { users: users.slice(0, rows) }),
    labels: labels.slice(0, rows),
  };
}

function empty(place: string): ModelToolError {
  return new ModelToolError('DATA_EMPTY', place, 'must have at least one row');
}
