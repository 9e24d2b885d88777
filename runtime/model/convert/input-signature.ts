import { ModelToolError } from '../tool-error';

/** Datatypes as NumPy calls them, which the frameworks share. */
const DATATYPES = 'float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool string'.split(' ');

/** What an input takes, said by the author or found in the source. */
export interface InputSignature {
  readonly name: string;
  readonly datatype: string;
  /** A name stands for any size; `batch` counts rows. */
  readonly shape: readonly (number | string)[];
  /** A size to try a named dimension with. @default 16 */
  readonly sizes: Readonly<Record<string, number>>;
}

/**
 * Reads `name=float32[batch,3,height:224,width:224]`: numbers fix a dimension, names leave it open, and a number behind a name
 * is the size to try it with.
 * @throws ModelToolError INPUTS_UNKNOWN saying what was not understood
 */
export function parseInput(text: string): InputSignature {
  const match = /^([^=[\]]+)=([a-z0-9]+)\[([^\]]*)\]$/.exec(text.replace(/\s+/g, ''));
  const refuse = (message: string): ModelToolError =>
    new ModelToolError(
      'INPUTS_UNKNOWN',
      '--input',
      `${message}, such as image=float32[batch,3,224,224], got '${text}'`,
    );
  if (match === null) throw refuse('must be a name, a datatype and a shape');
  const [, name, datatype, dimensions] = match as unknown as [string, string, string, string];
  if (!DATATYPES.includes(datatype)) throw refuse(`the datatype must be one of ${DATATYPES.join(', ')}`);
  const sizes: Record<string, number> = Object.create(null) as Record<string, number>;
  const shape =
    dimensions === '' ? [] : dimensions.split(',').map((dimension) => readDimension(dimension, sizes, refuse));
  if (shape.indexOf('batch') > 0) throw refuse('batch counts rows, which are the first dimension');
  return { name, datatype, shape, sizes };
}

function readDimension(
  text: string,
  sizes: Record<string, number>,
  refuse: (message: string) => ModelToolError,
): number | string {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  const named = /^([A-Za-z_]\w*)(?::([1-9]\d{0,8}))?$/.exec(text);
  if (named === null) throw refuse('a dimension must be a whole number from 1 up, or a name');
  if (named[2] !== undefined) sizes[named[1]!] = Number(named[2]);
  return named[1]!;
}

export function showInput({ name, datatype, shape }: Pick<InputSignature, 'name' | 'datatype' | 'shape'>): string {
  return `${name}=${datatype}[${shape.join(',')}]`;
}
