import {
  EIGHT_BEFORE_AT,
  KERNEL_STOP,
  LAST_SIXTEEN_AT,
  MEMORY_PAGES,
  MOST_DIGITS,
  OUTPUT_AT,
  OUTPUT_END_AT,
  PLAIN_DIGITS,
  PLAIN_MASKS_AT,
  POWERS_AT,
  POWER_HIGHS_AT,
  POWER_LOWS_AT,
  SPLITTER,
  STATUS_AT,
} from './number-kernel-memory';
import {
  assembleModule,
  block,
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
  i64x2,
  i8x16,
  leave,
  leaveWhen,
  repeatWhile,
  sequence,
  set,
  V128,
  v128,
  when,
  type Code,
} from './wasm-assembler';

/** A vector that repeats these bytes. */
function bytes16(...bytes: readonly number[]): Code {
  return v128.const(Uint8Array.from({ length: 16 }, (_, i) => bytes[i % bytes.length]!));
}

/** A vector that repeats these two-byte numbers. */
function words16(...numbers: readonly number[]): Code {
  const words = Uint16Array.from({ length: 8 }, (_, i) => numbers[i % numbers.length]!);
  return v128.const(new Uint8Array(words.buffer));
}

/**
 * A module whose `run(at, limit)` reads numbers from its memory and says where it stopped.
 *
 * Where a number ends is known from comparisons of all its bytes at once, so that the next number can begin before this
 * one is worked out: the processor works on several. What numbers in a list have different from each other, the sign and
 * how many digits there are, is calculated with instead of branched upon: branches would be guessed wrongly.
 */
export function assembleNumberKernel(): Uint8Array {
  // Parameters and locals.
  const [at, limit, out, first, sign, nonDigits, points, end] = [0, 1, 2, 3, 4, 5, 6, 7];
  const [pointAt, hasPoint, fraction, digits, tail, isHard, whole, unused] = [8, 9, 10, 11, 12, 13, 14, 15];
  const [mantissa, word, front, back] = [16, 17, 18, 19];
  const [value, quotient, high, low, product, power, powerHigh, powerLow, correction, rest, upper] = [
    20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
  ];
  const [bytes, more, toLowest, nine, point, zero, tens, hundreds, tenThousands] = [31, 32, 33, 34, 35, 36, 37, 38, 39];
  const locals = [
    ...new Array<number>(14).fill(I32),
    ...new Array<number>(4).fill(I64),
    ...new Array<number>(11).fill(F64),
    ...new Array<number>(9).fill(V128),
  ];

  const add = (local: number, amount: Code): Code => set(local, i32.add(get(local), amount));
  const byte = (character: string): Code => i32.const(character.charCodeAt(0));
  const current = i32.load8(get(at));
  const stop = (status: number): Code =>
    sequence(
      i32.store(i32.const(0), i32.const(status), STATUS_AT),
      i32.store(i32.const(0), get(out), OUTPUT_END_AT),
      giveBack(get(at)),
    );
  const unreadWhen = (condition: Code): Code => when(condition, stop(KERNEL_STOP.unread));
  const anyOf = (...conditions: readonly Code[]): Code => conditions.reduce(i32.or);
  // Space, line feed, carriage return and tab; other control characters are nobody's space.
  const isSpace = anyOf(...[' ', '\n', '\r', '\t'].map((space) => i32.eq(current, byte(space))));
  const skipSpace = repeatWhile(isSpace, add(at, i32.const(1)));

  // Here the engine would make them again and again inside the loop.
  const setConstants = sequence(
    // Digits become the lowest signed bytes, from -128 to -119.
    set(toLowest, bytes16(0x80 - 0x30)),
    set(nine, bytes16(0x80 + 9)),
    set(point, bytes16(0x2e)),
    set(zero, bytes16(0x30)),
    set(tens, words16(0x100 * 10 + 1)),
    set(hundreds, words16(100, 1)),
    set(tenThousands, words16(10_000, 1)),
  );

  // A bit for each byte of the window.
  const bitsOf = (compare: (vector: Code) => Code): Code =>
    i32.or(i8x16.bitmask(compare(get(bytes))), i32.shl(i8x16.bitmask(compare(get(more))), i32.const(16)));
  const isNonDigit = (vector: Code): Code => i8x16.gtS(i8x16.add(vector, get(toLowest)), get(nine));
  const look = sequence(
    set(bytes, v128.load(get(at))),
    set(more, v128.load(get(at), 16)),
    set(nonDigits, bitsOf(isNonDigit)),
    set(sign, i32.eq(get(first), byte('-'))),
  );

  // Sixteen digits in `bytes` become two numbers of eight digits in `word`: neighbours are summed up with their weights,
  // digits, pairs, and fours. A product of 2,561 is a digit ten times and its neighbour once, one byte further up.
  const sumUp = sequence(
    set(bytes, i16x8.shrU(i16x8.mul(get(bytes), get(tens)), i32.const(8))),
    set(bytes, i32x4.dotI16x8S(get(bytes), get(hundreds))),
    set(bytes, i32x4.dotI16x8S(i16x8.narrowI32x4U(get(bytes), get(bytes)), get(tenThousands))),
    set(word, i64x2.extractLane(get(bytes), 0)),
  );
  const firstEight = i64.and(get(word), i64.const(0xffff_ffffn));
  const lastEight = i64.shrU(get(word), i64.const(32n));

  // Eight digits in `word` become their number. Pairs, pairs of those, and both halves: each multiplication adds neighbours
  // with their weights.
  const sumUpEight = sequence(
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
  );

  // A digit, the point, and up to eighteen digits are what nearly all numbers are. With zeros behind them, they are always
  // so many, and the power of ten is always the same one.
  const lookForPlain = sequence(
    // The digit and the point, as one number of two bytes, less what they are for a zero.
    set(tail, i32.add(get(at), get(sign))),
    set(whole, i32.sub(i32.load16(get(tail)), i32.const(0x2e30))),
    // Behind them.
    set(end, i32.ctz(i32.and(get(nonDigits), i32.sub(i32.const(-4), i32.shl(get(sign), i32.const(2)))))),
    set(unused, i32.sub(i32.add(get(sign), i32.const(2 + PLAIN_DIGITS)), get(end))),
  );
  const isPlain = i32.eqz(i32.or(i32.gtU(get(whole), i32.const(9)), i32.gtU(get(unused), i32.const(PLAIN_DIGITS - 1))));
  const readPlain = sequence(
    set(bytes, v128.and(v128.load(get(tail), 2), v128.load(get(unused), PLAIN_MASKS_AT))),
    sumUp,
    // The seventeenth and the eighteenth digit, in the same way.
    set(digits, i32.and(i32.load16(get(tail), 18), i32.load16(get(unused), PLAIN_MASKS_AT + 16))),
    set(digits, i32.and(i32.shrU(i32.mul(get(digits), i32.const(0x100 * 10 + 1)), i32.const(8)), i32.const(0xff))),
    set(front, i64.add(i64.mul(i64.extendI32U(get(whole)), i64.const(100_000_000n)), firstEight)),
    set(back, i64.add(i64.mul(lastEight, i64.const(100n)), i64.extendI32U(get(digits)))),
  );
  const plainMantissa = i64.add(i64.mul(get(front), i64.const(10n ** 10n)), get(back));

  // front ÷ 10^8 + back ÷ 10^18, without a division. `quotient` is the first of them to 30 bits behind the point, which
  // adding a number so large that its last bit is the thirtieth leaves over. As many bits times 10^8 are exact, and so is
  // what remains of `front`, at most a twentieth. The rest is below 1.1 × 10^-8, and what is rounded in it is below 2^-77.
  // The sum is rounded once: when it is the same with 2^-76 more and less, it is what the digits say.
  const roundTo30Bits = 1.5 * 2 ** 22;
  const weighPlain = sequence(
    set(value, f64.convertI64S(get(front))),
    set(
      quotient,
      f64.sub(f64.add(f64.mul(get(value), f64.const(1e-8)), f64.const(roundTo30Bits)), f64.const(roundTo30Bits)),
    ),
    set(
      rest,
      f64.mul(
        f64.add(
          f64.sub(get(value), f64.mul(get(quotient), f64.const(1e8))),
          f64.mul(f64.convertI64S(get(back)), f64.const(1e-10)),
        ),
        f64.const(1e-8),
      ),
    ),
    set(value, f64.add(get(quotient), f64.sub(get(rest), f64.const(2 ** -76)))),
    set(upper, f64.add(get(quotient), f64.add(get(rest), f64.const(2 ** -76)))),
  );

  // Whole numbers of up to eight digits.
  const lookForWhole = sequence(
    // The sign is the lowest bit.
    set(nonDigits, i32.xor(get(nonDigits), get(sign))),
    // The point if there is one, else the end.
    set(pointAt, i32.ctz(get(nonDigits))),
    set(digits, i32.sub(get(pointAt), get(sign))),
  );
  const behindDigits = i32.add(get(at), get(pointAt));
  const isWhole = i32.eqz(
    i32.or(i32.eq(i32.load8(behindDigits), byte('.')), i32.gtU(i32.sub(get(digits), i32.const(1)), i32.const(7))),
  );
  // A zero in front of other digits is no JSON.
  const hasUselessZero = i32.and(i32.eq(i32.load8(get(tail)), byte('0')), i32.gtU(get(digits), i32.const(1)));
  const readWhole = sequence(
    unreadWhen(hasUselessZero),
    set(end, get(pointAt)),
    set(
      word,
      i64.and(
        i64.xor(i64.load(i32.sub(behindDigits, i32.const(8))), i64.const(0x3030303030303030n)),
        i64.load(get(digits), LAST_SIXTEEN_AT + 8),
      ),
    ),
    sumUpEight,
    set(value, f64.convertI64S(get(word))),
  );

  // All others: the digits on both sides of the point are put together, to the right, and zeros before them.
  const wholeDigits = i32.sub(get(pointAt), get(sign));
  const findParts = sequence(
    set(
      points,
      bitsOf((vector) => i8x16.eq(vector, get(point))),
    ),
    set(nonDigits, i32.xor(get(nonDigits), get(points))),
    // 32 when there is no end in sight: that are too many digits.
    set(end, i32.ctz(get(nonDigits))),
    set(points, i32.and(get(points), i32.xor(get(nonDigits), i32.sub(get(nonDigits), i32.const(1))))),
    set(hasPoint, i32.ne(get(end), get(pointAt))),
    set(fraction, i32.sub(i32.sub(get(end), get(pointAt)), get(hasPoint))),
    set(digits, i32.sub(i32.sub(get(end), get(sign)), get(hasPoint))),
    unreadWhen(
      anyOf(
        i32.eqz(wholeDigits),
        // A point and no digit behind it.
        i32.gtU(get(hasPoint), get(fraction)),
        // A second point.
        i32.and(get(points), i32.sub(get(points), i32.const(1))),
        i32.gtU(get(digits), i32.const(MOST_DIGITS)),
      ),
    ),
  );

  const readLastSixteen = sequence(
    set(tail, i32.sub(i32.sub(i32.add(get(at), get(end)), i32.const(24)), get(hasPoint))),
    // Digits before the point move up one byte, over the point.
    set(
      bytes,
      v128.bitselect(v128.load(get(tail), 9), v128.load(get(tail), 8), v128.load(get(fraction), LAST_SIXTEEN_AT)),
    ),
    set(bytes, v128.and(v128.xor(get(bytes), get(zero)), v128.load(get(digits), LAST_SIXTEEN_AT))),
    sumUp,
    set(mantissa, i64.add(i64.mul(firstEight, i64.const(100_000_000n)), lastEight)),
  );

  // The eight digits before the last sixteen, of which three at most are not zero: 64 bits hold nineteen digits.
  const readLeading = sequence(
    set(word, i64.load(get(tail))),
    set(
      word,
      i64.xor(get(word), i64.and(i64.xor(get(word), i64.load(get(tail), 1)), i64.load(get(fraction), EIGHT_BEFORE_AT))),
    ),
    set(word, i64.and(i64.xor(get(word), i64.const(0x3030303030303030n)), i64.load(get(digits), EIGHT_BEFORE_AT))),
    sumUpEight,
    unreadWhen(i64.gtU(get(word), i64.const(999n))),
    set(mantissa, i64.add(i64.mul(get(word), i64.const(10n ** 16n)), get(mantissa))),
  );

  // mantissa ÷ 10^fraction, when both are doubles: one rounding, the one that is wanted.
  const tableAt = i32.shl(get(fraction), i32.const(3));
  const divide = sequence(
    set(value, f64.div(f64.convertI64S(get(mantissa)), f64.load(tableAt, POWERS_AT))),
    set(isHard, i64.gtU(get(mantissa), i64.const(BigInt(Number.MAX_SAFE_INTEGER)))),
  );

  const readOther = sequence(
    findParts,
    readLastSixteen,
    when(i32.gtU(get(digits), i32.const(16)), sequence(readLeading, set(isHard, i32.const(1))), divide),
  );

  // mantissa ÷ 10^fraction with twice the digits of a double, as in `divideByPower`.
  const splitHigh = (operand: Code): Code => {
    const scaled = f64.mul(f64.const(SPLITTER), operand);
    return f64.sub(scaled, f64.sub(scaled, operand));
  };
  const divideExactly = sequence(
    set(value, f64.convertI64U(get(mantissa))),
    set(rest, f64.convertI64S(i64.sub(get(mantissa), i64.truncF64U(get(value))))),
    set(power, f64.load(tableAt, POWERS_AT)),
    set(quotient, f64.div(get(value), get(power))),
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
  );

  const body = sequence(
    set(out, i32.const(OUTPUT_AT)),
    setConstants,
    forever(
      set(first, current),
      // One space is what most writers of JSON put behind a comma, if any.
      when(
        i32.ltU(get(first), i32.const(0x21)),
        sequence(
          when(i32.eq(get(first), byte(' ')), add(at, i32.const(1))),
          set(first, current),
          when(i32.ltU(get(first), i32.const(0x21)), sequence(skipSpace, set(first, current))),
        ),
      ),
      unreadWhen(i32.eqz(i32.ltU(get(at), get(limit)))),
      look,
      lookForPlain,
      block(
        when(
          isPlain,
          sequence(
            readPlain,
            weighPlain,
            leaveWhen(f64.eq(get(value), get(upper)), 1),
            set(mantissa, plainMantissa),
            set(fraction, i32.const(PLAIN_DIGITS)),
          ),
          sequence(
            lookForWhole,
            when(isWhole, sequence(readWhole, leave(2))),
            unreadWhen(hasUselessZero),
            readOther,
            leaveWhen(i32.eqz(get(isHard)), 1),
            // A whole number that is no double.
            unreadWhen(i32.eqz(get(fraction))),
          ),
        ),
        divideExactly,
      ),
      i64.store(get(out), i64.or(i64.reinterpretF64(get(value)), i64.shl(i64.extendI32U(get(sign)), i64.const(63n)))),
      set(tail, i32.add(get(at), get(end))),
      set(first, i32.load8(get(tail))),
      when(
        i32.ne(get(first), byte(',')),
        sequence(
          unreadWhen(i32.eq(i32.or(get(first), i32.const(0x20)), byte('e'))),
          set(at, get(tail)),
          skipSpace,
          set(tail, get(at)),
          when(i32.ne(current, byte(',')), sequence(add(out, i32.const(8)), stop(KERNEL_STOP.ended))),
        ),
      ),
      add(out, i32.const(8)),
      set(at, i32.add(get(tail), i32.const(1))),
    ),
    // Never reached: the function must end with a value.
    i32.const(0),
  );
  return assembleModule({ parameters: [I32, I32], result: I32, locals, body }, MEMORY_PAGES);
}
