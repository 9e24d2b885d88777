import { setImmediate } from 'node:timers/promises';
import type { Tensor } from '../onnx/tensor-encoding';
import type { TensorSignature } from '../spec/model-facts';
import type {
  ColumnsPreprocessing,
  ImagePreprocessing,
  InputPreprocessing,
  Preprocessing,
  TextPreprocessing,
} from '../spec/preprocessing';
import { ColumnsReader } from './columns-input';
import { framePicture, imageValues, valueTables, type ValueTables } from './image-input';
import { errorInRow, PreprocessError } from './preprocess-error';
import { textTensors } from './text-input';
import { TextTokenizer, type Tokens } from './tokenizer';

/** What users have, by field: text, the bytes of a picture, or what a column of a record holds. */
export type UserRow = ReadonlyMap<string, unknown>;

/** A part of what users send. */
export interface UserField {
  readonly name: string;
  readonly kind: InputPreprocessing['kind'];
}

export interface PreprocessorOptions {
  readonly preprocessing: Preprocessing;
  readonly inputs: readonly TensorSignature[];
  /** Reads a file of the version: preprocessing names files by their place in it. */
  readonly readFile: (path: string) => Promise<Uint8Array>;
}

/** Text is tokenized on the thread that answers: so many characters, and then others have their turn. */
const CHARACTERS_AT_ONCE = 16_384;

/**
 * Makes a model's inputs of what users have, in the one way that its manifest says: the server for requests, the tools for
 * data sets, so that what was measured is what is served.
 */
export class Preprocessor {
  /** What a record of users consists of. */
  readonly fields: readonly UserField[];

  private constructor(
    private readonly makers: readonly Maker[],
    private readonly inputs: readonly TensorSignature[],
  ) {
    this.fields = [...new Map(makers.flatMap(({ fields }) => fields).map((field) => [field.name, field])).values()];
  }

  /** @throws PreprocessError for a tokenizer that cannot be used, or values that an input cannot hold. */
  static async open({ preprocessing, inputs, readFile }: PreprocessorOptions): Promise<Preprocessor> {
    const signatures = new Map(inputs.map((input) => [input.name, input]));
    const signatureOf = (name: string): TensorSignature => {
      const signature = signatures.get(name);
      if (signature === undefined) throw new PreprocessError('setup', `the model has no input '${name}'`);
      return signature;
    };
    const entries = Object.entries(preprocessing);
    const columns = new Set(
      entries.flatMap(([, entry]) => (entry.kind === 'columns' ? entry.columns.map(({ name }) => name) : [])),
    );
    /** People write `text` and `image` where there is one of the kind, and no column of that name. */
    const fieldOf = (name: string, kind: 'text' | 'image'): UserField => {
      const isOnly = entries.filter(([, entry]) => entry.kind === kind).length === 1 && !columns.has(kind);
      return { name: isOnly ? kind : name, kind };
    };
    const makers = await Promise.all(
      entries.map(async ([name, entry]): Promise<Maker> => {
        switch (entry.kind) {
          case 'image':
            return imageMaker(entry, signatureOf(name), fieldOf(name, 'image'));
          case 'text': {
            const tokenizer = await TextTokenizer.open(await readFile(entry.tokenizer), entry);
            return textMaker(entry, tokenizer, signatureOf, fieldOf(name, 'text'));
          }
          case 'columns':
            return columnsMaker(entry, signatureOf(name));
        }
      }),
    );
    return new Preprocessor(makers, inputs);
  }

  /** The one field that users send, where there is one: then it needs no name. */
  get onlyField(): UserField | undefined {
    const [field, another] = this.fields;
    return another === undefined ? field : undefined;
  }

  /**
   * The inputs of the model, in its order, with one row for each that is given.
   * @throws PreprocessError naming the row and the field that cannot be used.
   */
  async make(rows: readonly UserRow[]): Promise<readonly Tensor[]> {
    if (rows.length === 0) throw new PreprocessError('input', 'there must be at least one row');
    const made = new Map<string, Tensor>();
    for (const maker of this.makers) {
      for (const tensor of await maker.make(rows)) made.set(tensor.name, tensor);
    }
    return this.inputs.map(({ name }) => made.get(name)!);
  }
}

/** Makes the tensors of one entry. */
interface Maker {
  readonly fields: readonly UserField[];
  make(rows: readonly UserRow[]): Promise<readonly Tensor[]>;
}

function imageMaker(how: ImagePreprocessing, signature: TensorSignature, field: UserField): Maker {
  const { name, datatype } = signature;
  const tables: ValueTables = valueTables(how, datatype);
  const sizes = how.layout === 'NCHW' ? [tables.length, how.height, how.width] : [how.height, how.width, tables.length];
  const make = async (rows: readonly UserRow[]): Promise<readonly Tensor[]> => {
    const pictures = [];
    // One after the other: each may hold as much memory as the largest picture that is allowed.
    for (const [i, row] of rows.entries()) {
      const bytes = row.get(field.name);
      if (!(bytes instanceof Uint8Array)) throw notGiven(field, i, rows.length);
      pictures.push(await inRow(i, rows.length, () => framePicture(bytes, how)));
    }
    const hasRows = signature.shape.length === 4;
    if (!hasRows && rows.length > 1)
      throw new PreprocessError('input', `input '${name}' takes one picture, got ${rows.length}`);
    const shape = hasRows ? [rows.length, ...sizes] : sizes;
    return [{ name, datatype, shape, data: imageValues(pictures, how, datatype, tables) }];
  };
  return { fields: [field], make };
}

function textMaker(
  how: TextPreprocessing,
  tokenizer: TextTokenizer,
  signatureOf: (name: string) => TensorSignature,
  field: UserField,
): Maker {
  const make = async (rows: readonly UserRow[]): Promise<readonly Tensor[]> => {
    const texts: Tokens[] = [];
    let characters = 0;
    for (const [i, row] of rows.entries()) {
      const text = row.get(field.name);
      if (typeof text !== 'string') throw notGiven(field, i, rows.length);
      texts.push(await inRow(i, rows.length, () => tokenizer.encode(text)));
      characters += text.length;
      if (characters < CHARACTERS_AT_ONCE) continue;
      characters = 0;
      await setImmediate();
    }
    return textTensors(texts, how, tokenizer, signatureOf);
  };
  return { fields: [field], make };
}

function columnsMaker(how: ColumnsPreprocessing, signature: TensorSignature): Maker {
  const reader = new ColumnsReader(signature, how);
  // eslint-disable-next-line @typescript-eslint/require-await
  const make = async (rows: readonly UserRow[]): Promise<readonly Tensor[]> => [reader.read(rows)];
  return { fields: how.columns.map(({ name }) => ({ name, kind: 'columns' })), make };
}

async function inRow<T>(row: number, rows: number, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw errorInRow(error, row, rows);
  }
}

function notGiven({ name, kind }: UserField, row: number, rows: number): PreprocessError {
  const where = rows === 1 ? '' : `row ${row}: `;
  return new PreprocessError('input', `${where}'${name}' must be ${kind === 'text' ? 'a text' : 'a picture'}`);
}
