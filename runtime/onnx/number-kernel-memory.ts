// What lies where in the memory that the kernel for numbers shares with JavaScript.

/** Why the kernel stopped. */
export const KERNEL_STOP = {
  /** At a number, or whatever else, that it does not read: too many digits, an exponent, a token. */
  unread: 0,
  /** Behind a number that no comma follows. */
  ended: 1,
} as const;

/** Of the longest number, with its sign, its point and the byte behind it. */
const WINDOW_BYTES = 32;
/** The kernel begins no number that is nearer to the end of what it sees, unless that is the end of all. */
export const MARGIN_BYTES = 64;

/** Powers of ten up to this one are doubles, without rounding. */
export const LARGEST_POWER = 22;
/** One digit or more stand before the point, so that no more than `LARGEST_POWER` are behind it. */
export const MOST_DIGITS = LARGEST_POWER + 1;
/** Digits behind the point of what is called plain here: with the one before it, 64 bits hold them. */
export const PLAIN_DIGITS = 18;

/** Where things lie in the kernel's memory. */
export const POWERS_AT = 0;
export const POWER_HIGHS_AT = 256;
export const POWER_LOWS_AT = 512;
export const STATUS_AT = 768;
export const OUTPUT_END_AT = 772;
/** Sixteen bytes from here on, plus n: ones in the last n of them. */
export const LAST_SIXTEEN_AT = 800;
/** The eight bytes before those. */
export const EIGHT_BEFORE_AT = LAST_SIXTEEN_AT - 8;
/** Eighteen bytes from here on, plus n: fifteens in all but the last n of them, which make digits of characters. */
export const PLAIN_MASKS_AT = 896;
export const INPUT_AT = 1_024;
export const INPUT_BYTES = 48 * 1_024;
/** Behind the input, zeros: no load reaches anything else. */
export const PADDING_BYTES = 128;
export const OUTPUT_AT = INPUT_AT + INPUT_BYTES + PADDING_BYTES;
/** A number and its comma take two bytes at least. */
const MAX_OUTPUTS = INPUT_BYTES / 2 + 1;
const PAGE_BYTES = 65_536;
export const MEMORY_PAGES = Math.ceil((OUTPUT_AT + MAX_OUTPUTS * 8) / PAGE_BYTES);

const POWERS = Array.from({ length: LARGEST_POWER + 1 }, (_, exponent) => Number(`1e${exponent}`));

/** Writes what the kernel looks up. */
export function writeKernelTables(memory: ArrayBuffer): void {
  new Float64Array(memory, POWERS_AT).set(POWERS);
  new Float64Array(memory, POWER_HIGHS_AT).set(POWERS.map(highHalf));
  new Float64Array(memory, POWER_LOWS_AT).set(POWERS.map((power) => power - highHalf(power)));
  new Uint8Array(memory, LAST_SIXTEEN_AT + 16, WINDOW_BYTES).fill(0xff);
  new Uint8Array(memory, PLAIN_MASKS_AT, PLAIN_DIGITS).fill(0x0f);
}

export const SPLITTER = 134_217_729;

/** The upper 26 bits of a double: products of two such halves are exact (Dekker). */
function highHalf(value: number): number {
  const scaled = SPLITTER * value;
  return scaled - (scaled - value);
}
