import type { Datatype } from '../../spec/datatypes';
import { ModelToolError } from '../tool-error';

/** Datatypes as NumPy calls them, which the frameworks share, and as the Open Inference Protocol does. */
export const DATATYPE_OF: Readonly<Record<string, Datatype>> = {
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  bool: 'BOOL',
  string: 'BYTES',
};

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
  if (!Object.hasOwn(DATATYPE_OF, datatype)) {
    throw refuse(`the datatype must be one of ${Object.keys(DATATYPE_OF).join(', ')}`);
  }
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
