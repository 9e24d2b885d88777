import type { Random } from './random';

export interface GrpcCase {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const SERVICE = '/inference.GRPCInferenceService/';
const METHODS = [
  ...Array<string>(8).fill('ModelInfer'),
  'ModelStreamInfer',
  'ModelStreamInfer',
  'ServerLive',
  'ServerReady',
  'ModelReady',
  'ServerMetadata',
  'ModelMetadata',
  'ModelConfig',
  'ModelStatistics',
  'RepositoryIndex',
  'RepositoryModelLoad',
  'SystemSharedMemoryStatus',
  'Nothing',
];
const OTHER_PATHS = [
  '/grpc.health.v1.Health/Check',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
  '/',
  '/a/b',
  '/inference.GRPCInferenceService',
];

/** A call over a sound HTTP/2 connection, with any bytes whatever for a body. */
export function grpcCase(random: Random): GrpcCase {
  const path = random.chance(0.9) ? `${SERVICE}${random.pick(METHODS)}` : random.pick(OTHER_PATHS);
  const headers: Record<string, string> = { 'content-type': 'application/grpc', te: 'trailers' };
  if (random.chance(0.05))
    headers['content-type'] = random.pick([
      'application/grpc+proto',
      'application/grpc+json',
      'text/plain',
      'application/json',
    ]);
  if (random.chance(0.08))
    headers['grpc-timeout'] = random.pick(['1S', '0m', '1n', '99999999H', '999999999S', '-1S', 'S', '5', 'x']);
  if (random.chance(0.08)) headers['grpc-encoding'] = random.pick(['gzip', 'deflate', 'identity', 'zstd', '__proto__']);
  if (random.chance(0.03)) headers['x-tenant-id'] = 'a'.repeat(random.below(500));
  const messages = Array.from({ length: random.chance(0.9) ? 1 : random.below(4) }, () =>
    frame(random, message(random)),
  );
  const body = Buffer.concat(messages);
  return { path, headers, body: random.chance(0.1) ? random.mutate(body) : body };
}

function frame(random: Random, bytes: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header[0] = random.chance(0.94) ? 0 : random.pick([1, 1, 2, 255]);
  const length = random.chance(0.94)
    ? bytes.byteLength
    : random.pick([0, bytes.byteLength + 1, 2 ** 31, 2 ** 32 - 1, 12]);
  header.writeUInt32BE(length, 1);
  return Buffer.concat([header, bytes]);
}

function message(random: Random): Buffer {
  const bytes = random.chance(0.9) ? inferRequest(random) : random.bytes(random.below(60));
  return random.chance(0.45) ? random.mutate(bytes) : bytes;
}

function inferRequest(random: Random): Buffer {
  const isRaw = random.chance(0.5);
  const [model, inputs] = random.pick<() => [string, Buffer[]]>([
    () => ['two', [input(random, 'left', 'FP32', [1, 3], isRaw), input(random, 'right', 'FP32', [1, 3], isRaw)]],
    () => ['two', [input(random, 'left', 'FP32', [1, 3], isRaw), input(random, 'right', 'FP32', [1, 3], isRaw)]],
    () => ['lookup', [input(random, 'index', 'INT64', [2], isRaw)]],
    () => ['words', [input(random, 'input', 'BYTES', [1, 2], isRaw)]],
    () => ['half', [input(random, 'input', 'FP16', [], isRaw)]],
    () => [random.pick(['large', 'nobody', '', '\0']), [input(random, 'input', 'FP32', [0, 5], isRaw)]],
  ])();
  const sizes: Readonly<Record<string, number>> = { two: 12, lookup: 16, half: 2, words: 10, large: 0 };
  const raw = inputs.map(() => bytesField(7, rawTensor(random, model, sizes[model] ?? 4)));
  return Buffer.concat([
    bytesField(1, Buffer.from(model)),
    ...(random.chance(0.2) ? [bytesField(2, Buffer.from(random.pick(['1', '9', 'x', ''])))] : []),
    ...(random.chance(0.2) ? [bytesField(3, Buffer.from('id'))] : []),
    ...(random.chance(0.2)
      ? [
          bytesField(
            4,
            Buffer.concat([
              bytesField(1, Buffer.from(random.pick(['priority', 'timeout', 'x']))),
              bytesField(2, parameter(random)),
            ]),
          ),
        ]
      : []),
    ...inputs.map((bytes) => bytesField(5, bytes)),
    ...(random.chance(0.2) ? [bytesField(6, bytesField(1, Buffer.from(random.pick(['sum', 'output', 'x', '']))))] : []),
    ...(isRaw ? raw : []),
  ]);
}

function rawTensor(random: Random, model: string, size: number): Buffer {
  if (random.chance(0.05)) return random.bytes(random.below(40));
  if (model === 'words') return Buffer.from('01000000610100000062', 'hex');
  // Small indices; most are in the table.
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i += 8) bytes[i] = random.below(12);
  return bytes;
}

function parameter(random: Random): Buffer {
  return random.pick<() => Buffer>([
    () => varintField(1, 1n),
    () => varintField(2, random.pick([0n, 1n, -1n, 2n ** 63n - 1n, 1_000n])),
    () => bytesField(3, Buffer.from('a')),
    () => Buffer.concat([tag(4, 1), random.bytes(8)]),
    () => varintField(5, 2n ** 64n - 1n),
    () => Buffer.alloc(0),
  ])();
}

function input(random: Random, name: string, datatype: string, shape: readonly number[], isRaw: boolean): Buffer {
  const dims = random.chance(0.9) ? shape.map(BigInt) : [random.pick([-1n, 2n ** 62n, 3n, 0n])];
  const contents = random.chance(0.9)
    ? bytesField(CONTENTS[datatype] ?? 6, datatype === 'BYTES' ? Buffer.from('a') : packed(random, datatype, shape))
    : random.bytes(random.below(20));
  return Buffer.concat([
    bytesField(1, Buffer.from(name)),
    bytesField(2, Buffer.from(random.chance(0.95) ? datatype : random.pick(['BF16', 'FP64', '']))),
    random.chance(0.7)
      ? bytesField(3, Buffer.concat(dims.map(varint)))
      : Buffer.concat(dims.map((size) => varintField(3, size))),
    ...(isRaw && random.chance(0.97) ? [] : [bytesField(5, contents)]),
    ...(datatype === 'BYTES' && !isRaw ? [bytesField(5, contents)] : []),
  ]);
}

const CONTENTS: Readonly<Record<string, number>> = { INT64: 3, FP32: 6, BYTES: 8 };

function packed(random: Random, datatype: string, shape: readonly number[]): Buffer {
  const count = shape.reduce((product, size) => product * size, 1);
  if (datatype === 'INT64') return Buffer.concat(Array.from({ length: count }, () => varint(BigInt(random.below(12)))));
  return random.bytes(4 * count);
}

function tag(field: number, wire: number): Buffer {
  return varint(BigInt(field * 8 + wire));
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  do {
    bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(bytes);
}

function varintField(field: number, value: bigint): Buffer {
  return Buffer.concat([tag(field, 0), varint(value)]);
}

function bytesField(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([tag(field, 2), varint(BigInt(bytes.byteLength)), bytes]);
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** Bytes for a connection of their own to the gRPC port, most of them frames. */
export function wildHttp2Case(random: Random): Buffer {
  if (random.chance(0.05)) return random.bytes(random.below(200));
  const frames = [http2Frame(4, 0, 0, Buffer.alloc(0))];
  for (let n = random.below(12); n > 0; n--) {
    const type = random.below(12);
    const stream = random.pick([0, 1, 1, 1, 2, 3, 5, 2 ** 31 - 1]);
    const payload =
      type === 1 && random.chance(0.7) ? headerBlock(random) : random.bytes(random.pick([0, 4, 5, 6, 8, 9, 30]));
    frames.push(http2Frame(type, random.pick([0, 1, 4, 5, 8, 32, 255]), stream, payload));
  }
  const bytes = Buffer.concat([PREFACE, ...frames]);
  return random.chance(0.3) ? random.mutate(bytes) : bytes;
}

function http2Frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.byteLength, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** HPACK without compression: `:method`, `:path` and others by their literal names. */
function headerBlock(random: Random): Buffer {
  const fields: [string, string][] = [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', `${SERVICE}${random.pick(METHODS)}`],
    [':authority', 'fuzz'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    [random.pick(['x', 'X', '', ':x', 'connection']), random.pick(['a', '\0', '\n'])],
  ];
  const literal = (text: string): Buffer => Buffer.concat([Buffer.from([text.length & 127]), Buffer.from(text)]);
  return Buffer.concat(
    fields
      .slice(0, 3 + random.below(5))
      .map(([name, value]) => Buffer.concat([Buffer.from([0]), literal(name), literal(value)])),
  );
}
