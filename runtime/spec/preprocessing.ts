import type { Datatype } from './datatypes';
import type { TensorSignature } from './model-facts';
import {
  isInteger,
  isNumber,
  isRecord,
  isRecordArray,
  isText,
  unknownField,
  type RefuseField,
} from './manifest-fields';

/**
 * How a picture becomes an input: turned as its camera says, resized, its channels put in order, and each value computed as
 * (byte × scale − mean) ÷ deviation.
 */
export interface ImagePreprocessing {
  readonly kind: 'image';
  /** Pixels that the model sees. */
  readonly width: number;
  readonly height: number;
  /**
   * `stretch` to the size, whatever it does to the proportions; `crop` the middle after the shorter side was made to fit;
   * `pad` what is missing after the longer side was made to fit.
   */
  readonly resize: 'stretch' | 'crop' | 'pad';
  /** Only for `crop`: the length of the shorter side before the middle is cut out. @default - so long that nothing is missing */
  readonly shorterSide?: number;
  /** Only for `pad`: the byte that borders are made of. @default 0 */
  readonly border?: number;
  /** The filter of the resize; the support grows with the reduction. @default bilinear */
  readonly filter?: 'bilinear' | 'bicubic' | 'lanczos';
  readonly channels: 'rgb' | 'bgr' | 'grey';
  readonly layout: 'NCHW' | 'NHWC';
  /** What a byte is multiplied with first: 1/255 for models that were trained on values from 0 to 1. */
  readonly scale: number;
  /** One number for each channel, in the order of `channels`, or one for all. */
  readonly mean: readonly number[];
  /** As the mean; none is 0. */
  readonly deviation: readonly number[];
}

/** How text becomes token ids, and what goes with them. */
export interface TextPreprocessing {
  readonly kind: 'text';
  /** A file of the version: `tokenizer.json` of Hugging Face's tokenizers. */
  readonly tokenizer: string;
  /** Tokens of one text, special ones included; longer texts are cut. */
  readonly maxLength: number;
  /**
   * Pads each text to `longest` of the request or to `full` length.
   * @default longest - where the model's length is free; else full, for then it is one
   */
  readonly padding?: 'longest' | 'full';
  /** Inputs of the model. The ids are the input that this preprocessing is listed under. */
  readonly feeds: { readonly ids: string; readonly mask?: string; readonly types?: string };
}

/** A column of a record. Numbers become (value − mean) ÷ deviation, names of categories their index. */
export interface PreprocessedColumn {
  readonly name: string;
  /** The names that the column may hold. @default - it holds numbers, or text where the input is text */
  readonly categories?: readonly string[];
  /** Makes of a category as many numbers as there are: a 1 among 0. @default index */
  readonly encoding?: 'index' | 'one-hot';
  /** @default 0 */
  readonly mean?: number;
  /** @default 1 */
  readonly deviation?: number;
}

/** How columns of a record become one row of an input, in their order. */
export interface ColumnsPreprocessing {
  readonly kind: 'columns';
  readonly columns: readonly PreprocessedColumn[];
}

export type InputPreprocessing = ImagePreprocessing | TextPreprocessing | ColumnsPreprocessing;

/** By input of the model; together they make every input. */
export type Preprocessing = Readonly<Record<string, InputPreprocessing>>;

/** Largest sizes that a manifest may ask for: a server does this work for strangers. */
export const PREPROCESSING_LIMITS = {
  /** Pixels of a side. */
  side: 4_096,
  /** Tokens of a text. */
  tokens: 32_768,
  columns: 10_000,
  /** Of all columns of an input. */
  categories: 1_000_000,
  /** Bytes of a tokenizer's file. */
  tokenizerBytes: 64 * 2 ** 20,
} as const;

const FIELDS = {
  image: [
    'kind',
    'width',
    'height',
    'resize',
    'shorterSide',
    'border',
    'filter',
    'channels',
    'layout',
    'scale',
    'mean',
    'deviation',
  ],
  text: ['kind', 'tokenizer', 'maxLength', 'padding', 'feeds'],
  columns: ['kind', 'columns'],
} as const;

/** How many values one column makes. */
export function widthOfColumn({ categories, encoding }: PreprocessedColumn): number {
  return encoding === 'one-hot' && categories !== undefined ? categories.length : 1;
}

/** Tensors that come of one entry, by the model's inputs. */
function inputsMadeBy(name: string, entry: InputPreprocessing): readonly string[] {
  if (entry.kind !== 'text') return [name];
  const { ids, mask, types } = entry.feeds;
  return [ids, mask, types].filter((input) => input !== undefined);
}

/** Files of the version that preprocessing names, each once, in the order of their names. */
export function filesOfPreprocessing(preprocessing: Preprocessing): readonly string[] {
  const files = Object.values(preprocessing).flatMap((entry) => (entry.kind === 'text' ? [entry.tokenizer] : []));
  return [...new Set(files)].sort();
}

/**
 * Checks preprocessing against itself, the model that it is for, and the files that lie beside it.
 * @param hasFile whether the version has a file of this name
 */
export function checkPreprocessing(
  value: unknown,
  at: string,
  inputs: readonly TensorSignature[],
  hasFile: (path: string) => boolean,
  refuse: RefuseField,
): asserts value is Preprocessing {
  if (!isRecord(value)) return refuse(at, 'an object with an entry for each input', value);
  const signatures = new Map(inputs.map((input) => [input.name, input]));
  const made = new Set<string>();
  for (const [name, entry] of Object.entries(value)) {
    const here = `${at}.${name}`;
    const signature = signatures.get(name);
    if (signature === undefined)
      return refuse(here, `named like an input of the model (${[...signatures.keys()].join(', ')})`, name);
    if (!isRecord(entry)) return refuse(here, 'an object', entry);
    checkEntry(entry, here, signatures, signature, hasFile, refuse);
    for (const input of inputsMadeBy(name, entry as unknown as InputPreprocessing)) {
      if (made.has(input)) refuse(here, 'the only entry that makes its inputs', input);
      made.add(input);
    }
  }
  const missing = inputs.find(({ name }) => !made.has(name));
  if (missing !== undefined) refuse(at, 'complete: an entry for every input of the model', `none for ${missing.name}`);
}

function checkEntry(
  entry: Record<string, unknown>,
  at: string,
  signatures: ReadonlyMap<string, TensorSignature>,
  signature: TensorSignature,
  hasFile: (path: string) => boolean,
  refuse: RefuseField,
): void {
  const kind = entry['kind'];
  if (kind !== 'image' && kind !== 'text' && kind !== 'columns')
    return refuse(`${at}.kind`, "'image', 'text' or 'columns'", kind);
  const unknown = unknownField(entry, FIELDS[kind]);
  if (unknown !== undefined) refuse(at, `made of ${FIELDS[kind].join(', ')}`, unknown);
  if (kind === 'image') return checkImage(entry, at, signature, refuse);
  if (kind === 'text') return checkText(entry, at, signatures, signature.name, hasFile, refuse);
  return checkColumns(entry, at, signature, refuse);
}

function checkImage(entry: Record<string, unknown>, at: string, signature: TensorSignature, refuse: RefuseField): void {
  const { width, height, resize, shorterSide, border, filter, channels, layout, scale, mean, deviation } = entry;
  const { side } = PREPROCESSING_LIMITS;
  const whole = `a whole number from 1 to ${side}`;
  if (!isInteger(width, 1, side)) return refuse(`${at}.width`, whole, width);
  if (!isInteger(height, 1, side)) return refuse(`${at}.height`, whole, height);
  oneOf(resize, ['stretch', 'crop', 'pad'], `${at}.resize`, refuse);
  if (filter !== undefined) oneOf(filter, ['bilinear', 'bicubic', 'lanczos'], `${at}.filter`, refuse);
  oneOf(channels, ['rgb', 'bgr', 'grey'], `${at}.channels`, refuse);
  oneOf(layout, ['NCHW', 'NHWC'], `${at}.layout`, refuse);
  if (shorterSide !== undefined && (resize !== 'crop' || !isInteger(shorterSide, Math.max(width, height), side))) {
    refuse(
      `${at}.shorterSide`,
      `left out, or with crop a whole number from ${Math.max(width, height)} to ${side}`,
      shorterSide,
    );
  }
  if (border !== undefined && (resize !== 'pad' || !isInteger(border, 0, 255))) {
    refuse(`${at}.border`, 'left out, or with pad a byte from 0 to 255', border);
  }
  if (!isNumber(scale) || scale <= 0) refuse(`${at}.scale`, 'a number greater than 0', scale);
  const count = channels === 'grey' ? 1 : 3;
  const isPerChannel = (value: unknown): value is number[] =>
    Array.isArray(value) && (value.length === 1 || value.length === count) && value.every(isNumber);
  if (!isPerChannel(mean))
    refuse(`${at}.mean`, count === 1 ? 'a list of one number' : 'a list of one or three numbers', mean);
  if (!isPerChannel(deviation) || deviation.includes(0)) {
    refuse(
      `${at}.deviation`,
      `a list of ${count === 1 ? 'one number' : 'one or three numbers'}, none of them 0`,
      deviation,
    );
  }
  const { datatype, shape } = signature;
  if (datatype === 'BYTES' || datatype === 'BOOL') refuse(at, 'for an input of numbers', datatype);
  const wanted = layout === 'NCHW' ? [count, height, width] : [height, width, count];
  const rest = shape.length === 4 ? shape.slice(1) : shape;
  const fits = rest.length === 3 && wanted.every((size, i) => typeof rest[i] === 'string' || rest[i] === size);
  if (!fits) refuse(at, `such that the input's shape [${shape.join(', ')}] holds it`, [layout, ...wanted].join(' '));
}

const INTEGERS: ReadonlySet<Datatype> = new Set<Datatype>(['INT64', 'INT32', 'UINT64', 'UINT32']);

function checkText(
  entry: Record<string, unknown>,
  at: string,
  signatures: ReadonlyMap<string, TensorSignature>,
  name: string,
  hasFile: (path: string) => boolean,
  refuse: RefuseField,
): void {
  const { tokenizer, maxLength, padding, feeds } = entry;
  if (typeof tokenizer !== 'string' || !hasFile(tokenizer))
    refuse(`${at}.tokenizer`, 'one of the listed files', tokenizer);
  if (!isInteger(maxLength, 1, PREPROCESSING_LIMITS.tokens)) {
    refuse(`${at}.maxLength`, `a whole number from 1 to ${PREPROCESSING_LIMITS.tokens}`, maxLength);
  }
  if (padding !== undefined) oneOf(padding, ['longest', 'full'], `${at}.padding`, refuse);
  if (!isRecord(feeds)) return refuse(`${at}.feeds`, 'an object with ids', feeds);
  const unknown = unknownField(feeds, ['ids', 'mask', 'types']);
  if (unknown !== undefined) refuse(`${at}.feeds`, 'made of ids, mask, types', unknown);
  if (feeds['ids'] !== name) refuse(`${at}.feeds.ids`, `'${name}', the input that it is listed under`, feeds['ids']);
  const seen = new Set<unknown>();
  for (const [role, input] of Object.entries(feeds)) {
    const signature = typeof input === 'string' ? signatures.get(input) : undefined;
    if (signature === undefined || seen.has(input))
      return refuse(`${at}.feeds.${role}`, 'another input of the model', input);
    seen.add(input);
    const { datatype, shape } = signature;
    const length = shape[1];
    const fits = shape.length === 2 && (typeof length === 'string' || length === maxLength);
    if (!fits || !(INTEGERS.has(datatype) || (role === 'mask' && datatype.startsWith('FP')))) {
      const given = `${datatype} [${shape.join(', ')}]`;
      refuse(
        `${at}.feeds.${role}`,
        `an input of whole numbers, a row for each text with ${String(maxLength)} or any number of tokens`,
        given,
      );
    }
  }
}

function checkColumns(
  entry: Record<string, unknown>,
  at: string,
  signature: TensorSignature,
  refuse: RefuseField,
): void {
  const { columns } = entry;
  if (!isRecordArray(columns) || columns.length === 0 || columns.length > PREPROCESSING_LIMITS.columns) {
    return refuse(`${at}.columns`, `a list of 1 to ${PREPROCESSING_LIMITS.columns} columns`, columns);
  }
  const names = new Set<string>();
  let count = 0;
  columns.forEach((column, i) => {
    const here = `${at}.columns[${i}]`;
    const unknown = unknownField(column, ['name', 'categories', 'encoding', 'mean', 'deviation']);
    if (unknown !== undefined) refuse(here, 'made of name, categories, encoding, mean, deviation', unknown);
    const { name, categories, encoding, mean, deviation } = column;
    if (!isText(name, 256) || names.has(name)) return refuse(`${here}.name`, 'the name of another column', name);
    names.add(name);
    if (categories !== undefined) {
      if (['BYTES', 'BOOL'].includes(signature.datatype)) {
        refuse(`${here}.categories`, `left out, for the input is ${signature.datatype}`, categories);
      }
      const isList =
        Array.isArray(categories) && categories.length > 0 && categories.every((each) => typeof each === 'string');
      if (!isList || new Set(categories).size !== categories.length) {
        return refuse(`${here}.categories`, 'a list of names, each once', categories);
      }
      count += categories.length;
    }
    if (encoding !== undefined) {
      oneOf(encoding, ['index', 'one-hot'], `${here}.encoding`, refuse);
      if (categories === undefined) refuse(`${here}.encoding`, 'left out where there are no categories', encoding);
    }
    const isScalable = categories === undefined && signature.datatype.startsWith('FP');
    const where = 'of a column without categories, of a floating-point input';
    if (mean !== undefined && !(isScalable && isNumber(mean))) refuse(`${here}.mean`, `a number, ${where}`, mean);
    if (deviation !== undefined && !(isScalable && isNumber(deviation) && deviation !== 0)) {
      refuse(`${here}.deviation`, `a number other than 0, ${where}`, deviation);
    }
  });
  if (count > PREPROCESSING_LIMITS.categories)
    refuse(at, `of at most ${PREPROCESSING_LIMITS.categories} categories`, count);
  const { shape } = signature;
  const width = (columns as unknown as PreprocessedColumn[]).reduce((sum, column) => sum + widthOfColumn(column), 0);
  const fits =
    shape.length === 2 ? typeof shape[1] === 'string' || shape[1] === width : shape.length === 1 && width === 1;
  if (!fits) refuse(at, `such that the input's shape [${shape.join(', ')}] holds a row of it`, `${width} values`);
}

function oneOf(value: unknown, choices: readonly string[], at: string, refuse: RefuseField): void {
  if (typeof value === 'string' && choices.includes(value)) return;
  refuse(at, choices.map((choice) => `'${choice}'`).join(' or '), value);
}
