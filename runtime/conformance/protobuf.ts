// As much of protobuf's wire format as the cases need: https://protobuf.dev/programming-guides/encoding/

export type FieldValue = Uint8Array | string | bigint | number;

/** One field: text and bytes with their length, numbers as varints. */
export function field(number: number, value: FieldValue): Buffer {
  if (typeof value === 'number' || typeof value === 'bigint')
    return Buffer.concat([varint(number << 3), varint(value)]);
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.byteLength), bytes]);
}

export function message(...fields: readonly Uint8Array[]): Buffer {
  return Buffer.concat(fields);
}

export function varint(value: bigint | number): Buffer {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

/** All values of a field, in their order: bytes of those with a length, bigint of varints. */
export function valuesOf(bytes: Uint8Array, number: number): (Buffer | bigint)[] {
  const found: (Buffer | bigint)[] = [];
  let at = 0;
  const readVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      if (at >= bytes.byteLength) throw new Error(`protobuf ends within a number at byte ${at}`);
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.byteLength) {
    const key = readVarint();
    const type = Number(key & 7n);
    let value: Buffer | bigint;
    if (type === 0) value = readVarint();
    else {
      const length = type === 2 ? Number(readVarint()) : type === 1 ? 8 : 4;
      value = Buffer.from(bytes.subarray(at, at + length));
      at += length;
    }
    if (Number(key >> 3n) === number) found.push(value);
  }
  return found;
}

export function texts(bytes: Uint8Array, number: number): string[] {
  return valuesOf(bytes, number).map((value) => (value as Buffer).toString('utf8'));
}

export function bytesOf(bytes: Uint8Array, number: number): Buffer[] {
  return valuesOf(bytes, number) as Buffer[];
}

/** A repeated whole number, packed or not. */
export function numbers(bytes: Uint8Array, number: number): number[] {
  return valuesOf(bytes, number).flatMap((value) => {
    if (typeof value === 'bigint') return [Number(BigInt.asIntN(64, value))];
    return valuesOf(Buffer.concat([...unpack(value)].map((each) => Buffer.concat([varint(8), each]))), 1).map((each) =>
      Number(BigInt.asIntN(64, each as bigint)),
    );
  });
}

function* unpack(packed: Buffer): Generator<Buffer> {
  let from = 0;
  for (let at = 0; at < packed.byteLength; at++) {
    if (packed[at]! >= 0x80) continue;
    yield packed.subarray(from, at + 1);
    from = at + 1;
  }
}
