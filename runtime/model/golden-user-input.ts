import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Tensor } from '../onnx/tensor-encoding';
import { parseJsonText } from '../onnx/json-text';
import { PreprocessError } from '../preprocess/preprocess-error';
import { Preprocessor, type UserRow } from '../preprocess/preprocessor';
import { describeField, isRecord } from '../spec/manifest-fields';
import type { ModelFacts } from '../spec/model-facts';
import { readGoldenInput } from './golden-input';
import type { ReadPreprocessing } from './preprocessing-file';
import { PublishError } from './publish-error';

const PICTURE = /\.(?:png|jpe?g|webp)$/i;
const TEXT = /\.txt$/i;

/**
 * Reads the input of the golden proof: a request of the Open Inference Protocol, or what users have, where preprocessing says
 * how that becomes inputs: a picture, a text (`.txt`), or JSON with a text, a record, or a list of such. Where a record has a
 * picture, it names a file beside it.
 * @throws PublishError GOLDEN_FILE_INVALID, PREPROCESSING_INVALID, PACKAGE_MISSING
 */
export async function readGoldenFile(
  file: string,
  facts: ModelFacts,
  how: ReadPreprocessing | undefined,
): Promise<readonly Tensor[]> {
  const isUsers = PICTURE.test(file) || TEXT.test(file);
  if (how === undefined) {
    if (!isUsers) return readGoldenInput(file, facts);
    throw new PublishError('GOLDEN_FILE_INVALID', file, 'is no request; say with --preprocessing how it becomes one');
  }
  if (!isUsers && isTensors(await readJson(file))) return readGoldenInput(file, facts);
  try {
    const preprocessor = await Preprocessor.open({
      preprocessing: how.preprocessing,
      inputs: facts.inputs,
      readFile: (name) => readFile(how.files.get(name)!),
    });
    return await preprocessor.make(await readRows(file, preprocessor));
  } catch (error) {
    throw PreprocessError.is(error) ? publishError(error, file) : error;
  }
}

async function readRows(file: string, { onlyField, fields }: Preprocessor): Promise<readonly UserRow[]> {
  const wrong = (message: string): PublishError => new PublishError('GOLDEN_FILE_INVALID', file, message);
  const one = (kind: 'image' | 'text', what: string, value: Uint8Array | string): readonly UserRow[] => {
    if (onlyField?.kind !== kind)
      throw wrong(`is ${what}, and the model takes ${fields.map(({ name }) => name).join(', ')}`);
    return [new Map([[onlyField.name, value]])];
  };
  if (PICTURE.test(file)) return one('image', 'a picture', await readBytes(file));
  if (TEXT.test(file)) return one('text', 'a text', (await readBytes(file)).toString('utf8').replace(/\r?\n$/, ''));
  const json = await readJson(file);
  const rows = Array.isArray(json) ? (json as unknown[]) : [json];
  return Promise.all(
    rows.map(async (row): Promise<UserRow> => {
      if (typeof row === 'string' && onlyField?.kind === 'text') return new Map([[onlyField.name, row]]);
      if (!isRecord(row))
        throw wrong(`must have records with ${fields.map(({ name }) => name).join(', ')}, got ${describeField(row)}`);
      const cells = fields.map(async ({ name, kind }): Promise<[string, unknown]> => {
        const value = Object.hasOwn(row, name) ? row[name] : undefined;
        if (value === undefined) throw wrong(`must have '${name}' in each record`);
        if (kind !== 'image') return [name, value];
        if (typeof value !== 'string')
          throw wrong(`'${name}' must be the name of a picture's file, got ${describeField(value)}`);
        return [name, await readBytes(path.resolve(path.dirname(file), value))];
      });
      return new Map(await Promise.all(cells));
    }),
  );
}

function isTensors(json: unknown): boolean {
  return isRecord(json) && Array.isArray(json['inputs']);
}

async function readJson(file: string): Promise<unknown> {
  const text = (await readBytes(file)).toString('utf8');
  try {
    return parseJsonText(text);
  } catch (error) {
    throw new PublishError('GOLDEN_FILE_INVALID', file, `must be JSON: ${(error as Error).message}`);
  }
}

async function readBytes(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new PublishError('GOLDEN_FILE_INVALID', file, code === 'ENOENT' ? 'does not exist' : message);
  }
}

function publishError({ failure, message }: PreprocessError, file: string): PublishError {
  if (failure === 'missing') return new PublishError('PACKAGE_MISSING', file, message);
  return new PublishError(failure === 'setup' ? 'PREPROCESSING_INVALID' : 'GOLDEN_FILE_INVALID', file, message);
}
