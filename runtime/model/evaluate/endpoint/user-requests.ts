import { tensorDataFromCells } from '../../../onnx/csv-cells';
import { readNpy } from '../../../onnx/npy';
import type { Tensor } from '../../../onnx/tensor-encoding';
import type { UserRow } from '../../../preprocess/preprocessor';
import type { TensorSignature } from '../../../spec/model-facts';
import { importPackage } from '../../import-package';
import type { HttpBody, HttpReply } from './http-codecs';

/** Of what users have in one request: a server refuses bodies that are too large, and few people send more at once. */
const MAX_REQUEST_BYTES = 4 * 2 ** 20;
/** By how files begin. */
const PICTURES: readonly (readonly [type: string, start: readonly number[]])[] = [
  ['image/png', [0x89, 0x50, 0x4e, 0x47]],
  ['image/jpeg', [0xff, 0xd8, 0xff]],
];

/** Rows in requests that are no larger than people's. */
export function requestsOf(rows: readonly UserRow[]): readonly (readonly UserRow[])[] {
  const requests: UserRow[][] = [];
  let bytes = Infinity;
  for (const row of rows) {
    const own = bytesOf(row);
    if (bytes + own > MAX_REQUEST_BYTES) {
      requests.push([]);
      bytes = 0;
    }
    requests.at(-1)!.push(row);
    bytes += own;
  }
  return requests;
}

/** As a user sends it: one picture is the body, everything else records in JSON. */
export function encodeUserRows(rows: readonly UserRow[], accept: string): HttpBody {
  const [row, another] = rows;
  const [only, more] = row === undefined ? [] : [...row.values()];
  if (another === undefined && more === undefined && only instanceof Uint8Array) {
    return { headers: { 'Content-Type': typeOf(only), Accept: accept }, body: only };
  }
  const records = rows.map((each) => {
    const fields = [...each].map(([name, value]) => `${JSON.stringify(name)}:${writeValue(value)}`);
    return `{${fields.join(',')}}`;
  });
  return {
    headers: { 'Content-Type': 'application/json', Accept: accept },
    body: Buffer.from(`{"instances":[${records.join(',')}]}`),
  };
}

/**
 * What an answer must be asked for as, so that every number of it comes: users see the best classes alone.
 * @returns undefined where nothing holds these outputs whole
 */
export function answerTypeFor(outputs: readonly TensorSignature[]): string | undefined {
  const [only, another] = outputs;
  if (another === undefined && only !== undefined && only.datatype !== 'BYTES') return 'application/x-npy';
  return outputs.every((output) => rowWidth(output) !== undefined) ? 'text/csv' : undefined;
}

/** Reads an answer of such a type. @throws Error saying what is wrong */
export async function decodeUserAnswer(
  { body }: HttpReply,
  type: string,
  outputs: readonly TensorSignature[],
): Promise<readonly Tensor[]> {
  if (type === 'application/x-npy') return [{ name: outputs[0]!.name, ...readNpy(body) }];
  const { parse } = await importPackage('csv-parse', 'to read CSV', () => import('csv-parse/sync'));
  const lines = parse(body, { encoding: 'utf8' });
  const width = outputs.reduce((sum, output) => sum + rowWidth(output)!, 0);
  const ragged = lines.find((line) => line.length !== width);
  if (ragged !== undefined) throw new Error(`a row must have ${width} values, got ${ragged.length}`);
  let from = 0;
  return outputs.map((output): Tensor => {
    const { name, datatype, shape } = output;
    const own = rowWidth(output)!;
    const cell = (i: number): string => lines[Math.floor(i / own)]![from + (i % own)]!;
    const data = tensorDataFromCells(datatype, lines.length * own, cell);
    from += own;
    return { name, datatype, shape: [lines.length, ...(shape.slice(1) as readonly number[])], data };
  });
}

/** Elements of one row; undefined where that is free. */
function rowWidth({ shape }: TensorSignature): number | undefined {
  const rest = shape.slice(1);
  if (shape.length === 0 || !rest.every((size) => typeof size === 'number')) return undefined;
  return rest.reduce((product, size) => product * size, 1);
}

function bytesOf(row: UserRow): number {
  let bytes = 0;
  for (const value of row.values()) {
    if (value instanceof Uint8Array) bytes += value.byteLength;
    else if (typeof value === 'string') bytes += value.length;
  }
  return bytes;
}

function typeOf(picture: Uint8Array): string {
  const known = PICTURES.find(([, start]) => start.every((byte, i) => picture[i] === byte));
  return known?.[0] ?? 'image/webp';
}

function writeValue(value: unknown): string {
  if (value instanceof Uint8Array) return `{"b64":"${Buffer.from(value).toString('base64')}"}`;
  // Whole numbers beyond 2^53 come as bigint, which JSON has no word for and all the digits.
  if (typeof value === 'bigint') return String(value);
  return JSON.stringify(value) ?? 'null';
}
