import fc from 'fast-check';
import { expect } from 'vitest';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

const names = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('__proto__', 'constructor', ''));
const parameters = fc.dictionary(
  fc.string({ unit: 'binary' }).filter((name) => name !== '__proto__'),
  fc.oneof(
    fc.boolean().map((bool_param) => ({ bool_param })),
    fc.maxSafeInteger().map((value) => ({ int64_param: value })),
    fc.string({ unit: 'binary' }).map((string_param) => ({ string_param })),
    fc.double().map((double_param) => ({ double_param })),
    fc.maxSafeNat().map((value) => ({ uint64_param: value })),
  ),
  { maxKeys: 3, noNullPrototype: true },
);
/** Requests of any content, as protobufjs takes them. */
export const requests = fc.record({
  model_name: names,
  model_version: names,
  id: names,
  parameters,
  inputs: fc.array(
    fc.record({ name: names, datatype: names, shape: fc.array(fc.maxSafeInteger(), { maxLength: 4 }), parameters }),
    { maxLength: 3 },
  ),
  outputs: fc.array(fc.record({ name: names, parameters }), { maxLength: 3 }),
  raw_input_contents: fc.array(
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    { maxLength: 3 },
  ),
});

/** What protobufjs was given, each parameter as its value. */
export function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value) || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [key, key === 'parameters' ? firstOfEach(part as object) : plain(part)]),
  );
}

function firstOfEach(parameters: object): unknown {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, kind]) => [name, Object.values(kind as object)[0] as unknown]),
  );
}

/** The same fields in an order by chance, those of one number among themselves as they were; unknown ones in between. */
export function scramble(bytes: Buffer, random: () => number): Buffer {
  const fields = new Map<number, Buffer[]>();
  for (let at = 0; at < bytes.byteLength;) {
    const [start] = [at];
    const [tag, afterTag] = readVarint(bytes, at);
    const [length, afterLength] = readVarint(bytes, afterTag);
    expect(tag % 8).toBe(2);
    at = afterLength + length;
    const number = Math.floor(tag / 8);
    const field = number === 5 ? unpackShape(bytes.subarray(afterLength, at)) : bytes.subarray(start, at);
    fields.set(number, [...(fields.get(number) ?? []), field]);
  }
  const parts: Buffer[] = [];
  const rest = [...fields.values()];
  while (rest.length > 0) {
    const i = random() % rest.length;
    parts.push(rest[i]!.shift()!);
    if (rest[i]!.length === 0) rest.splice(i, 1);
    if (random() % 3 === 0) parts.push(hex('fa01 02 6869'));
  }
  return Buffer.concat(parts);
}

/** An input whose packed shape has one field for each dimension instead. */
function unpackShape(input: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < input.byteLength;) {
    const start = at;
    const [tag, afterTag] = readVarint(input, at);
    const [length, afterLength] = readVarint(input, afterTag);
    at = afterLength + length;
    if (Math.floor(tag / 8) !== 3) {
      parts.push(input.subarray(start, at));
      continue;
    }
    for (let dimension = afterLength; dimension < at;) {
      const [, end] = readVarint(input, dimension);
      parts.push(hex('18'), input.subarray(dimension, end));
      dimension = end;
    }
  }
  const body = Buffer.concat(parts);
  return Buffer.concat([hex('2a'), writeVarint(body.byteLength), body]);
}

function readVarint(bytes: Buffer, from: number): [number, number] {
  let value = 0;
  let at = from;
  for (let factor = 1; ; factor *= 128) {
    const byte = bytes[at++]!;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return [value, at];
  }
}

function writeVarint(value: number): Buffer {
  const bytes = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}
