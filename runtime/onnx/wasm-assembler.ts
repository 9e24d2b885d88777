/**
 * The few instructions of WebAssembly that are used here, as functions from operands to code
 * (https://webassembly.github.io/spec/core/binary/instructions.html). An expression leaves one value, a statement none.
 */
export type Code = readonly number[];

type Unary = (operand: Code) => Code;
type Binary = (left: Code, right: Code) => Code;

const VOID = 0x40;
const unary =
  (opcode: number): Unary =>
  (operand) => [...operand, opcode];
const binary =
  (opcode: number): Binary =>
  (left, right) => [...left, ...right, opcode];
/** Any alignment is allowed, and none is promised. */
const load =
  (opcode: number) =>
  (address: Code, offset = 0): Code => [...address, opcode, 0, ...unsigned(offset)];
const store =
  (opcode: number) =>
  (address: Code, value: Code, offset = 0): Code => [...address, ...value, opcode, 0, ...unsigned(offset)];

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(BigInt(value))],
  load8: load(0x2d),
  load16: load(0x2f),
  store: store(0x36),
  ctz: unary(0x68),
  eqz: unary(0x45),
  eq: binary(0x46),
  ne: binary(0x47),
  ltU: binary(0x49),
  gtU: binary(0x4b),
  add: binary(0x6a),
  sub: binary(0x6b),
  mul: binary(0x6c),
  and: binary(0x71),
  or: binary(0x72),
  xor: binary(0x73),
  shl: binary(0x74),
  shrU: binary(0x76),
};

export const i64 = {
  const: (value: bigint): Code => [0x42, ...signed(BigInt.asIntN(64, value))],
  load: load(0x29),
  store: store(0x37),
  gtU: binary(0x56),
  add: binary(0x7c),
  sub: binary(0x7d),
  mul: binary(0x7e),
  and: binary(0x83),
  or: binary(0x84),
  xor: binary(0x85),
  shl: binary(0x86),
  shrU: binary(0x88),
  extendI32U: unary(0xad),
  truncF64U: unary(0xb1),
  reinterpretF64: unary(0xbd),
};

export const f64 = {
  const: (value: number): Code => [0x44, ...new Uint8Array(Float64Array.of(value).buffer)],
  load: load(0x2b),
  eq: binary(0x61),
  ne: binary(0x62),
  add: binary(0xa0),
  sub: binary(0xa1),
  mul: binary(0xa2),
  div: binary(0xa3),
  convertI64S: unary(0xb9),
  convertI64U: unary(0xba),
};

const vectorUnary =
  (opcode: number): Unary =>
  (operand) => [...operand, 0xfd, ...unsigned(opcode)];
const vectorBinary =
  (opcode: number): Binary =>
  (left, right) => [...left, ...right, 0xfd, ...unsigned(opcode)];

/** Vectors of 16 bytes. */
export const v128 = {
  const: (bytes: Uint8Array): Code => [0xfd, 0x0c, ...bytes],
  load: (address: Code, offset = 0): Code => [...address, 0xfd, 0x00, 0, ...unsigned(offset)],
  and: vectorBinary(0x4e),
  xor: vectorBinary(0x51),
  /** Bits of the first where the mask has ones, of the second elsewhere. */
  bitselect: (first: Code, second: Code, mask: Code): Code => [...first, ...second, ...mask, 0xfd, 0x52],
};

export const i8x16 = {
  eq: vectorBinary(0x23),
  gtS: vectorBinary(0x27),
  bitmask: vectorUnary(0x64),
  add: vectorBinary(0x6e),
};

export const i16x8 = {
  narrowI32x4U: vectorBinary(0x86),
  shrU: vectorBinary(0x8d),
  add: vectorBinary(0x8e),
  mul: vectorBinary(0x95),
};

export const i32x4 = {
  dotI16x8S: vectorBinary(0xba),
};

export const i64x2 = {
  extractLane: (operand: Code, lane: number): Code => [...operand, 0xfd, 0x1d, lane],
};

/** The first when the condition holds; both are computed. */
export const select = (first: Code, second: Code, condition: Code): Code => [...first, ...second, ...condition, 0x1b];
export const sequence = (...statements: readonly Code[]): Code => statements.flat();
export const when = (condition: Code, then: Code, otherwise?: Code): Code => [
  ...condition,
  0x04,
  VOID,
  ...then,
  ...(otherwise === undefined ? [] : [0x05, ...otherwise]),
  0x0b,
];
export const block = (...body: readonly Code[]): Code => [0x02, VOID, ...body.flat(), 0x0b];
/** Goes on behind the block that is so many `when`s and blocks further out than the innermost. */
export const leave = (depth: number): Code => [0x0c, depth];
export const leaveWhen = (condition: Code, depth: number): Code => [...condition, 0x0d, depth];
/** Runs the body again and again; only `leave` and `giveBack` end it. */
export const forever = (...body: readonly Code[]): Code => [0x03, VOID, ...body.flat(), 0x0c, 0, 0x0b];
/** Runs the body while the condition, asked first, holds. */
export const repeatWhile = (condition: Code, body: Code): Code => [
  ...[0x03, VOID],
  ...when(condition, [...body, 0x0c, 1]),
  0x0b,
];
export const giveBack = (value: Code): Code => [...value, 0x0f];

/** Types of values. */
export const I32 = 0x7f;
export const I64 = 0x7e;
export const F64 = 0x7c;
export const V128 = 0x7b;

export interface WasmFunction {
  readonly parameters: readonly number[];
  readonly result: number;
  /** Numbered on from the parameters. */
  readonly locals: readonly number[];
  readonly body: Code;
}

/** A module of one function, exported as `run`, with memory of its own, exported as `memory`. */
export function assembleModule({ parameters, result, locals, body }: WasmFunction, memoryPages: number): Uint8Array {
  const code = [...vector(locals.map((type) => [1, type])), ...body, 0x0b];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [[0x60, ...vector(parameters.map((type) => [type])), ...vector([[result]])]]),
    ...section(3, [[0]]),
    ...section(5, [[0x00, ...unsigned(memoryPages)]]),
    ...section(7, [
      [...name('run'), 0x00, 0],
      [...name('memory'), 0x02, 0],
    ]),
    ...section(10, [[...unsigned(code.length), ...code]]),
  ]);
}

function section(id: number, entries: readonly Code[]): Code {
  const content = vector(entries);
  return [id, ...unsigned(content.length), ...content];
}

function vector(entries: readonly Code[]): Code {
  return [...unsigned(entries.length), ...entries.flat()];
}

function name(text: string): Code {
  return [...unsigned(text.length), ...Buffer.from(text)];
}

/** LEB128, as are all numbers in a module. */
function unsigned(value: number): Code {
  const bytes: number[] = [];
  let rest = value;
  do {
    const byte = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? byte : byte | 0x80);
  } while (rest !== 0);
  return bytes;
}

function signed(value: bigint): Code {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    const isLast = (rest === 0n && (byte & 0x40) === 0) || (rest === -1n && (byte & 0x40) !== 0);
    bytes.push(isLast ? byte : byte | 0x80);
    if (isLast) return bytes;
  }
}
