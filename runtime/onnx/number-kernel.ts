import {
  assembleModule,
  F64,
  f64,
  forever,
  get,
  giveBack,
  I32,
  i32,
  I64,
  i16x8,
  i32x4,
  i64,
  i8x16,
  repeatWhile,
  select,
  sequence,
  set,
  V128,
  v128,
  when,
  type Code,
} from './wasm-assembler';

// Numbers of JSON in WebAssembly: it has whole numbers of 64 bits, so eight digits are read at a time. JavaScript takes two
// to four times as long.

/** Why the kernel stopped. */
export const KERNEL_STOP = {
  /** At a number, or whatever else, that it does not read: too many digits, an exponent, a token. */
  unread: 0,
  /** Behind a number that no comma follows. */
  ended: 1,
} as const;

const PAGE_BYTES = 65_536;
/** Where things lie in the kernel's memory. */
const POWERS_AT = 0;
const POWER_HIGHS_AT = 256;
const POWER_LOWS_AT = 512;
const WHOLE_POWERS_AT = 768;
const STATUS_AT = 1_024;
const OUTPUT_END_AT = 1_028;
const SHUFFLES_AT = 1_040;
const INPUT_AT = 2_048;
const INPUT_BYTES = 48 * 1_024;
/** Behind the input, zeros: no load of eight bytes reaches anything else. */
const PADDING_BYTES = 128;
const OUTPUT_AT = INPUT_AT + INPUT_BYTES + PADDING_BYTES;
/** A number and its comma take two bytes at least. */
const MAX_OUTPUTS = INPUT_BYTES / 2 + 1;
const MEMORY_PAGES = Math.ceil((OUTPUT_AT + MAX_OUTPUTS * 8) / PAGE_BYTES);
/** The kernel begins no number that is nearer to the end of what it sees, unless that is the end of all. */
const MARGIN_BYTES = 64;
const LARGEST_POWER = 22;

type Run = (at: number, limit: number) => number;

/** What is used of it; its own types come with those of the browser alone. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => {
    readonly exports: { readonly run: Run; readonly memory: { readonly buffer: ArrayBuffer } };
  };
}

/** Reads runs of numbers that commas separate, from one text. */
export class NumberKernel {
  /** Numbers of the last run. */
  outputs = new Float64Array();
  stop: number = KERNEL_STOP.unread;
  private readonly memory: Uint8Array<ArrayBuffer>;
  private readonly words: Int32Array;
  private readonly run: Run;
  private text: Uint8Array = new Uint8Array();
  /** Which part of the text lies in memory. */
  private from = 0;
  private to = 0;

  private constructor() {
    const { Module, Instance } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly;
    const { run, memory } = new Instance(new Module(assembleKernel())).exports;
    const { buffer } = memory;
    this.run = run;
    this.memory = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    writeTables(buffer);
  }

  private static only: NumberKernel | undefined;

  /** The kernel of this thread, about to read this text. */
  static for(text: Uint8Array): NumberKernel {
    const kernel = (this.only ??= new NumberKernel());
    kernel.text = text;
    kernel.from = kernel.to = 0;
    return kernel;
  }

  /**
   * Reads numbers from `at` on, as many as lie in memory.
   * @returns where it stopped; the same place when it read nothing. `outputs` is overwritten by the next call.
   */
  read(at: number): number {
    const { text } = this;
    if (at < this.from || (at + MARGIN_BYTES >= this.to && this.to < text.byteLength)) this.load(at);
    const isLast = this.to === text.byteLength;
    const offset = INPUT_AT - this.from;
    const end = this.run(at + offset, this.to + offset - (isLast ? 0 : MARGIN_BYTES));
    this.stop = this.words[STATUS_AT >> 2]!;
    this.outputs = new Float64Array(this.memory.buffer, OUTPUT_AT, (this.words[OUTPUT_END_AT >> 2]! - OUTPUT_AT) >> 3);
    return end - offset;
  }

  private load(at: number): void {
    this.from = at;
    this.to = Math.min(this.text.byteLength, at + INPUT_BYTES);
    this.memory.set(this.text.subarray(at, this.to), INPUT_AT);
    const end = INPUT_AT + this.to - at;
    this.memory.fill(0, end, end + PADDING_BYTES);
  }
}

function writeTables(buffer: ArrayBuffer): void {
  const powers = Array.from({ length: LARGEST_POWER + 1 }, (_, exponent) => Number(`1e${exponent}`));
  new Float64Array(buffer, POWERS_AT, powers.length).set(powers);
  new Float64Array(buffer, POWER_HIGHS_AT, powers.length).set(powers.map(highHalf));
  new Float64Array(buffer, POWER_LOWS_AT, powers.length).set(powers.map((power) => power - highHalf(power)));
  const wholePowers = Array.from({ length: 17 }, (_, exponent) => 10n ** BigInt(exponent));
  for (let digits = 0; digits <= 16; digits++) {
    // Places beyond the vector mean zero.
    const shuffle = Array.from({ length: 16 }, (_, i) => (i < 16 - digits ? 0x80 : i - (16 - digits)));
    new Uint8Array(buffer, SHUFFLES_AT + digits * 16, 16).set(shuffle);
  }
  new BigInt64Array(buffer, WHOLE_POWERS_AT, wholePowers.length).set(wholePowers);
}

/** A vector of two-byte numbers, these over and over. */
function words16(...numbers: readonly number[]): Code {
  const words = Uint16Array.from({ length: 8 }, (_, i) => numbers[i % numbers.length]!);
  return v128.const(new Uint8Array(words.buffer));
}

const SPLITTER = 134_217_729;

function highHalf(value: number): number {
  const scaled = SPLITTER * value;
  return scaled - (scaled - value);
}

function assembleKernel(): Uint8Array {
  // Parameters and locals.
  const [at, limit, out, start, isNegative, digits, count, first] = [0, 1, 2, 3, 4, 5, 6, 7];
  const [mantissa, word] = [8, 9];
  const [value, quotient, high, low, product, power, powerHigh, powerLow, correction, rest] = [
    10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
  ];
  const bytes = 20;
  const add = (local: number, amount: Code): Code => set(local, i32.add(get(local), amount));
  const byte = (character: string): Code => i32.const(character.charCodeAt(0));
  const current = i32.load8(get(at));
  const stopAt = (place: number, status: number): Code =>
    sequence(
      i32.store(i32.const(0), i32.const(status), STATUS_AT),
      i32.store(i32.const(0), get(out), OUTPUT_END_AT),
      giveBack(get(place)),
    );
  const unreadWhen = (condition: Code): Code => when(condition, stopAt(start, KERNEL_STOP.unread));
  // Space, line feed, carriage return and tab; other control characters are nobody's space.
  const isSpace = i32.or(
    i32.or(i32.eq(current, byte(' ')), i32.eq(current, byte('\n'))),
    i32.or(i32.eq(current, byte('\r')), i32.eq(current, byte('\t'))),
  );
  // One question where there is none.
  const skipSpace = when(i32.ltU(current, i32.const(0x21)), repeatWhile(isSpace, add(at, i32.const(1))));

  /** Up to eight digits at `at`: their number in `digits`, their value added to the mantissa as its last digits. */
  const readDigits = sequence(
    // Digits become 0 to 9, everything else something larger.
    set(word, i64.xor(i64.load(get(at)), i64.const(0x3030303030303030n))),
    // The lowest bit that is set lies in the first byte that is no digit; none at all means 64, eight digits.
    set(
      digits,
      i32.shrU(
        i32.wrapI64(
          i64.ctz(
            i64.and(
              i64.or(i64.add(get(word), i64.const(0x7676767676767676n)), get(word)),
              i64.const(0x8080808080808080n),
            ),
          ),
        ),
        i32.const(3),
      ),
    ),
    when(
      get(digits),
      sequence(
        // What is no digit leaves at the top, and zeros come in before the first digit.
        set(word, i64.shl(get(word), i64.extendI32U(i32.sub(i32.const(64), i32.shl(get(digits), i32.const(3)))))),
        // Pairs of digits, pairs of those, and both halves: each multiplication adds neighbours with their weights.
        set(word, i64.shrU(i64.mul(get(word), i64.const(2_561n)), i64.const(8n))),
        set(
          word,
          i64.shrU(i64.mul(i64.and(get(word), i64.const(0x00ff00ff00ff00ffn)), i64.const(6_553_601n)), i64.const(16n)),
        ),
        set(
          word,
          i64.shrU(
            i64.mul(i64.and(get(word), i64.const(0x0000ffff0000ffffn)), i64.const(42_949_672_960_001n)),
            i64.const(32n),
          ),
        ),
        set(
          mantissa,
          i64.add(i64.mul(get(mantissa), i64.load(i32.shl(get(digits), i32.const(3)), WHOLE_POWERS_AT)), get(word)),
        ),
        add(at, get(digits)),
        add(count, get(digits)),
      ),
    ),
  );
  const isFull = i32.eq(get(digits), i32.const(8));

  /** As `readDigits`, up to sixteen digits at once. */
  const readFraction = sequence(
    set(bytes, v128.xor(v128.load(get(at)), v128.const(new Uint8Array(16).fill(0x30)))),
    set(
      digits,
      i32.ctz(i32.or(i8x16.bitmask(i8x16.gtU(get(bytes), v128.const(new Uint8Array(16).fill(9)))), i32.const(0x10000))),
    ),
    // The digits move to the end, zeros come in before them.
    set(bytes, i8x16.swizzle(get(bytes), v128.load(i32.shl(get(digits), i32.const(4)), SHUFFLES_AT))),
    // Neighbours are summed up with their weights: digits, pairs, fours.
    set(
      bytes,
      i16x8.add(i16x8.mul(v128.and(get(bytes), words16(0x00ff)), words16(10)), i16x8.shrU(get(bytes), i32.const(8))),
    ),
    set(bytes, i32x4.dotI16x8S(get(bytes), words16(100, 1))),
    set(bytes, i32x4.dotI16x8S(i16x8.narrowI32x4U(get(bytes), get(bytes)), words16(10_000, 1))),
    set(
      mantissa,
      i64.add(
        i64.mul(get(mantissa), i64.load(i32.shl(get(digits), i32.const(3)), WHOLE_POWERS_AT)),
        i64.add(
          i64.mul(i64.extendI32U(i32x4.extractLane(get(bytes), 0)), i64.const(100_000_000n)),
          i64.extendI32U(i32x4.extractLane(get(bytes), 1)),
        ),
      ),
    ),
    add(at, get(digits)),
    add(count, get(digits)),
  );

  // (mantissa) ÷ 10^count with twice the digits of a double, as in `divideByPower`.
  const tableAt = i32.shl(get(count), i32.const(3));
  const splitHigh = (operand: Code): Code => {
    const scaled = f64.mul(f64.const(SPLITTER), operand);
    return f64.sub(scaled, f64.sub(scaled, operand));
  };
  const divide = sequence(
    set(value, f64.convertI64U(get(mantissa))),
    set(power, f64.load(tableAt, POWERS_AT)),
    set(quotient, f64.div(get(value), get(power))),
    when(
      // Numbers of so many digits are mixed with longer ones: a question would be answered wrongly half of the time.
      i32.or(i32.gtU(get(count), i32.const(14)), i64.gtU(get(mantissa), i64.const(2n ** 53n))),
      sequence(
        set(rest, f64.convertI64S(i64.sub(get(mantissa), i64.truncF64U(get(value))))),
        set(high, splitHigh(get(quotient))),
        set(low, f64.sub(get(quotient), get(high))),
        set(powerHigh, f64.load(tableAt, POWER_HIGHS_AT)),
        set(powerLow, f64.load(tableAt, POWER_LOWS_AT)),
        set(product, f64.mul(get(quotient), get(power))),
        set(
          correction,
          f64.add(
            f64.add(
              f64.add(f64.sub(f64.mul(get(high), get(powerHigh)), get(product)), f64.mul(get(high), get(powerLow))),
              f64.mul(get(low), get(powerHigh)),
            ),
            f64.mul(get(low), get(powerLow)),
          ),
        ),
        set(
          correction,
          f64.div(f64.add(f64.sub(f64.sub(get(value), get(product)), get(correction)), get(rest)), get(power)),
        ),
        set(value, f64.add(get(quotient), get(correction))),
        set(rest, f64.add(f64.sub(get(quotient), get(value)), get(correction))),
        // Too near to the middle of two doubles to tell.
        set(product, f64.mul(get(value), f64.const(2 ** -90))),
        unreadWhen(
          i32.or(
            f64.ne(f64.add(get(value), f64.add(get(rest), get(product))), get(value)),
            f64.ne(f64.add(get(value), f64.sub(get(rest), get(product))), get(value)),
          ),
        ),
      ),
      set(value, get(quotient)),
    ),
  );

  const body = sequence(
    set(out, i32.const(OUTPUT_AT)),
    forever(
      set(start, get(at)),
      skipSpace,
      unreadWhen(i32.eqz(i32.ltU(get(at), get(limit)))),
      set(isNegative, i32.eq(current, byte('-'))),
      add(at, get(isNegative)),
      set(first, current),
      set(mantissa, i64.const(0n)),
      set(count, i32.const(0)),
      when(
        i32.eq(i32.load8(get(at), 1), byte('.')),
        // The most frequent whole part is one digit.
        sequence(
          set(digits, i32.sub(get(first), byte('0'))),
          unreadWhen(i32.gtU(get(digits), i32.const(9))),
          set(mantissa, i64.extendI32U(get(digits))),
          set(count, i32.const(1)),
          add(at, i32.const(1)),
        ),
        sequence(
          readDigits,
          unreadWhen(i32.eqz(get(digits))),
          // A zero in front of other digits is no JSON.
          unreadWhen(i32.and(i32.eq(get(first), byte('0')), i32.ne(get(digits), i32.const(1)))),
          when(isFull, sequence(readDigits, unreadWhen(isFull))),
        ),
      ),
      when(
        i32.eq(current, byte('.')),
        sequence(
          // From here on `first` is how many digits the whole part takes of the nineteen that fit into 64 bits.
          set(first, select(i32.const(0), get(count), i64.eqz(get(mantissa)))),
          set(count, i32.const(0)),
          add(at, i32.const(1)),
          readFraction,
          unreadWhen(i32.eqz(get(digits))),
          when(i32.eq(get(digits), i32.const(16)), sequence(readDigits, unreadWhen(isFull))),
          unreadWhen(i32.gtU(i32.add(get(first), get(count)), i32.const(19))),
          divide,
        ),
        sequence(
          unreadWhen(i64.gtU(get(mantissa), i64.const(BigInt(Number.MAX_SAFE_INTEGER)))),
          set(value, f64.convertI64U(get(mantissa))),
        ),
      ),
      unreadWhen(i32.eq(i32.or(current, i32.const(0x20)), byte('e'))),
      f64.store(get(out), select(f64.neg(get(value)), get(value), get(isNegative))),
      add(out, i32.const(8)),
      skipSpace,
      when(i32.ne(current, byte(',')), stopAt(at, KERNEL_STOP.ended)),
      add(at, i32.const(1)),
    ),
    // Never reached: the function must end with a value.
    i32.const(0),
  );
  const locals = [I32, I32, I32, I32, I32, I32, I64, I64, ...new Array<number>(10).fill(F64), V128];
  return assembleModule({ parameters: [I32, I32], result: I32, locals, body }, MEMORY_PAGES);
}
