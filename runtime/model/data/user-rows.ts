import { readFile } from 'node:fs/promises';
import { PreprocessError } from '../../preprocess/preprocess-error';
import { Preprocessor, type UserField, type UserRow } from '../../preprocess/preprocessor';
import type { TensorSignature } from '../../spec/model-facts';
import type { ImagePreprocessing } from '../../spec/preprocessing';
import type { ReadPreprocessing } from '../preprocessing-file';
import { PublishError } from '../publish-error';
import { ModelToolError } from '../tool-error';
import type { DataBatch } from './dataset';
import { rowDimensions, showDimensions } from './row-shape';

/** What a user has, and what should come of it. */
export interface LabelledUserRow<L> {
  readonly row: UserRow;
  readonly label: L;
  /** For people: `line 7 of rows.jsonl`, or a picture's file. */
  readonly at: string;
}

/** What reads users' data: their fields, and what becomes of rows. */
export type UserRowReader = Pick<Preprocessor, 'fields' | 'make'>;

/** For a model that makes its inputs elsewhere: rows stay what they are, and no tensors come of them. */
export function takeAsTheyAre(fields: readonly UserField[]): UserRowReader {
  return { fields, make: () => Promise.resolve([]) };
}

/**
 * Rows of users' data in batches, with tensors made as the server makes them of requests.
 * @throws ModelToolError DATA_UNREADABLE for a row of which nothing can be made
 */
export async function* batchUserRows<L>(
  rows: AsyncIterable<LabelledUserRow<L>>,
  reader: UserRowReader,
  size: number,
): AsyncGenerator<DataBatch<L>, void, void> {
  let waiting: LabelledUserRow<L>[] = [];
  let from = 0;
  const batch = async (): Promise<DataBatch<L>> => {
    const inputs = await makeInputs(reader, waiting);
    const users = waiting.map(({ row }) => row);
    return { from, rows: waiting.length, inputs, users, labels: waiting.map(({ label }) => label) };
  };
  for await (const row of rows) {
    if (waiting.length === size) {
      yield await batch();
      from += waiting.length;
      waiting = [];
    }
    waiting.push(row);
  }
  if (waiting.length > 0) yield await batch();
}

async function makeInputs(
  reader: UserRowReader,
  rows: readonly LabelledUserRow<unknown>[],
): Promise<DataBatch<unknown>['inputs']> {
  try {
    return await reader.make(rows.map(({ row }) => row));
  } catch (error) {
    // Asked again one by one, the row that is wrong can be named by where it lies.
    for (const { row, at } of rows) {
      await reader.make([row]).catch((reason: unknown) => {
        throw toolError(reason, 'DATA_UNREADABLE', at, '');
      });
    }
    throw error;
  }
}

/**
 * Opens the preprocessing of a model.
 * @throws ModelToolError DATA_MISFIT when it cannot be used
 */
export async function openPreprocessor(
  { preprocessing, files }: ReadPreprocessing,
  inputs: readonly TensorSignature[],
  source: string,
): Promise<Preprocessor> {
  const readBeside = async (file: string): Promise<Uint8Array> => {
    const place = files.get(file);
    if (place !== undefined) return readFile(place);
    throw new PreprocessError('setup', `nobody says where the file '${file}' lies that it names`);
  };
  try {
    return await Preprocessor.open({ preprocessing, inputs, readFile: readBeside });
  } catch (error) {
    throw toolError(error, 'DATA_MISFIT', source, 'the preprocessing cannot be used: ');
  }
}

/** Said where pictures are read and nobody says how they become inputs: numbers of a model that was trained otherwise mean nothing. */
export const PLAIN_PICTURES_NOTE =
  "pictures are only stretched to the model's size, from 0 to 1 for floating point: --preprocessing says otherwise";

function toolError(error: unknown, code: 'DATA_UNREADABLE' | 'DATA_MISFIT', source: string, before: string): unknown {
  const isFile = typeof (error as NodeJS.ErrnoException).code === 'string' && !PublishError.is(error);
  if (!PreprocessError.is(error) && !isFile) return error;
  const { message } = error as Error;
  if (PreprocessError.is(error) && error.failure === 'missing')
    return new PublishError('PACKAGE_MISSING', source, message);
  return new ModelToolError(code, source, `${before}${message}`);
}

/**
 * What a model without preprocessing is given: pictures stretched to its size, from 0 to 1 where it takes floating point, from
 * 0 to 255 where it takes integers, as `/predict` does.
 * @throws ModelToolError DATA_MISFIT for an input that no picture fits
 */
export function plainImagePreprocessing(input: TensorSignature, source: string): ImagePreprocessing {
  const [a, b, c, ...rest] = rowDimensions(input);
  const isChannels = (size: unknown): size is 1 | 3 => size === 1 || size === 3;
  const [channels, height, width] = isChannels(a) ? [a, b, c] : [c, a, b];
  const isNumber = input.datatype !== 'BYTES' && input.datatype !== 'BOOL';
  const isPicture = rest.length === 0 && isChannels(channels) && isNumber;
  if (!isPicture || typeof height !== 'number' || typeof width !== 'number') {
    throw new ModelToolError(
      'DATA_MISFIT',
      source,
      `input '${input.name}' ${input.datatype} ${showDimensions(input.shape)} takes no picture: it needs numbers, 1 or 3 channels, a height and a width`,
    );
  }
  return {
    kind: 'image',
    width,
    height,
    resize: 'stretch',
    channels: channels === 1 ? 'grey' : 'rgb',
    layout: isChannels(a) ? 'NCHW' : 'NHWC',
    scale: input.datatype.startsWith('FP') ? 1 / 255 : 1,
    mean: [0],
    deviation: [1],
  };
}
