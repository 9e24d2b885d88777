import { readFileSync } from 'node:fs';

/** One handwritten digit: 8 × 8 grey values from 0 (paper) to 16 (ink), row by row, and what its writer meant. */
export interface HeldOutDigit {
  readonly index: number;
  readonly label: number;
  readonly pixels: readonly number[];
}

/** The images that the training of the sample model never saw. */
export function readHeldOutDigits(file: string): readonly HeldOutDigit[] {
  const { labels, images } = JSON.parse(readFileSync(file, 'utf8')) as { labels: number[]; images: number[][] };
  return images.map((pixels, index) => ({ index, label: labels[index]!, pixels }));
}

const INK = [' ', '░', '▒', '▓', '█'] as const;

/** The digit as nine or so lines of text; a pixel is two characters wide, because characters are twice as high as wide. */
export function drawDigit({ pixels }: HeldOutDigit): string[] {
  const rows = Array.from({ length: 8 }, (_, row) =>
    pixels
      .slice(row * 8, row * 8 + 8)
      .map((grey) => INK[Math.round((grey / 16) * (INK.length - 1))]!.repeat(2))
      .join(''),
  );
  const edge = '─'.repeat(16);
  return [`┌${edge}┐`, ...rows.map((row) => `│${row}│`), `└${edge}┘`];
}

/** The request that asks for one digit, or several at once, in the Open Inference Protocol's JSON. */
export function inferRequest(digits: readonly HeldOutDigit[]): string {
  const data = digits.flatMap(({ pixels }) => pixels);
  return JSON.stringify({ inputs: [{ name: 'image', datatype: 'FP32', shape: [digits.length, 1, 8, 8], data }] });
}
