import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { preprocessingDigest } from '../preprocess/preprocessing-digest';
import { describeField, isRecord, type RefuseField } from '../spec/manifest-fields';
import type { ModelFacts, TensorSignature } from '../spec/model-facts';
import { checkPreprocessing, PREPROCESSING_LIMITS, type Preprocessing } from '../spec/preprocessing';
import { digestPath } from './digest-path';
import { PublishError } from './publish-error';

/** Preprocessing with everything filled in, and the files that it names. */
export interface ReadPreprocessing {
  readonly preprocessing: Preprocessing;
  /** Where each file lies that the preprocessing names: beside the file that it was read from. */
  readonly files: ReadonlyMap<string, string>;
}

const MAX_BYTES = 64 * 2 ** 20;

/** The files that a preprocessing file names, whichever model it is for. @throws PublishError as `readPreprocessingFile` does */
export async function filesNamedIn(file: string): Promise<readonly string[]> {
  const given = await readObject(file);
  return [given, ...Object.values(given)]
    .flatMap((entry) => (isRecord(entry) && typeof entry['tokenizer'] === 'string' ? [entry['tokenizer']] : []))
    .map((tokenizer) => path.resolve(path.dirname(file), tokenizer));
}

/** SHA-256 of preprocessing and of the files that it names, as evidence has it. */
export async function digestPreprocessing({ preprocessing, files }: ReadPreprocessing): Promise<string> {
  const digests = new Map<string, string>();
  for (const [name, place] of files) digests.set(name, await digestPath(place));
  return preprocessingDigest(preprocessing, (name) => digests.get(name)!);
}

/**
 * Reads preprocessing as people write it, in JSON or YAML: an entry for each input, or one alone for a model with one input.
 * What is left out and can be read off the model is filled in: size, layout and channels of a picture, values from 0 to 1 for
 * floating point.
 * @throws PublishError FILE_UNREADABLE, or PREPROCESSING_INVALID naming the field, what belongs there and what was found
 */
export async function readPreprocessingFile(
  file: string,
  { inputs }: Pick<ModelFacts, 'inputs'>,
): Promise<ReadPreprocessing> {
  const given = await readObject(file);
  const [only, another] = inputs;
  const entries =
    typeof given['kind'] === 'string' && only !== undefined && another === undefined ? { [only.name]: given } : given;
  const files = new Map<string, string>();
  const completed = Object.fromEntries(
    Object.entries(entries).map(([name, entry]) => {
      const input = inputs.find((each) => each.name === name);
      if (!isRecord(entry) || input === undefined) return [name, entry];
      return [name, complete(entry, input, file, files)];
    }),
  );
  for (const [name, place] of files) await assertFile(name, place, file);
  const refuse: RefuseField = (field, expected, got) => {
    throw new PublishError('PREPROCESSING_INVALID', file, `${field} must be ${expected}, got ${describeField(got)}`);
  };
  const value: unknown = completed;
  checkPreprocessing(value, 'preprocessing', inputs, (name) => files.has(name), refuse);
  return { preprocessing: value, files };
}

async function readObject(file: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    const { size } = await stat(file);
    if (size > MAX_BYTES) throw new Error(`it has ${size} bytes, at most ${MAX_BYTES} are read`);
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new PublishError('FILE_UNREADABLE', file, (error as Error).message);
  }
  const { parseDocument } = await import('yaml');
  // JSON is YAML. Aliases are not resolved: a small file of them is a huge object.
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error !== undefined)
    throw new PublishError('PREPROCESSING_INVALID', file, `must be JSON or YAML: ${error.message.split('\n')[0]}`);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 0 });
  } catch (thrown) {
    throw new PublishError('PREPROCESSING_INVALID', file, (thrown as Error).message);
  }
  if (isRecord(value)) return value;
  throw new PublishError(
    'PREPROCESSING_INVALID',
    file,
    `must be an object with an entry for each input, got ${describeField(value)}`,
  );
}

function complete(
  entry: Record<string, unknown>,
  input: TensorSignature,
  file: string,
  files: Map<string, string>,
): Record<string, unknown> {
  if (entry['kind'] === 'image') return { ...imageDefaults(entry, input), ...entry };
  if (entry['kind'] !== 'text') return entry;
  const { tokenizer, feeds } = entry;
  const completed = {
    ...entry,
    feeds: isRecord(feeds) ? { ids: input.name, ...feeds } : (feeds ?? { ids: input.name }),
  };
  if (typeof tokenizer !== 'string') return completed;
  const name = path.basename(tokenizer);
  files.set(name, path.resolve(path.dirname(file), tokenizer));
  return { ...completed, tokenizer: name };
}

function imageDefaults({ layout, channels }: Record<string, unknown>, input: TensorSignature): Record<string, unknown> {
  const { datatype, shape } = input;
  const [first, second, third] = shape.length === 4 ? shape.slice(1) : shape;
  const isChannels = (size: unknown): boolean => size === 1 || size === 3;
  const isFirst = layout === undefined ? isChannels(first) : layout === 'NCHW';
  const [count, height, width] = isFirst ? [first, second, third] : [third, first, second];
  return {
    ...(typeof width === 'number' ? { width } : {}),
    ...(typeof height === 'number' ? { height } : {}),
    resize: 'stretch',
    channels: channels ?? (count === 1 ? 'grey' : 'rgb'),
    layout: isFirst ? 'NCHW' : 'NHWC',
    scale: datatype.startsWith('FP') ? 1 / 255 : 1,
    mean: [0],
    deviation: [1],
  };
}

async function assertFile(name: string, place: string, file: string): Promise<void> {
  const found = await stat(place).catch(() => undefined);
  if (found?.isFile() === true && found.size <= PREPROCESSING_LIMITS.tokenizerBytes) return;
  const got =
    found === undefined ? 'nothing is there' : `it is no file of at most ${PREPROCESSING_LIMITS.tokenizerBytes} bytes`;
  throw new PublishError('PREPROCESSING_INVALID', file, `names the file '${name}', and ${got}: ${place}`);
}
