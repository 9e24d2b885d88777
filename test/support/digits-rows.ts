import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { readHeldOutDigits } from '../../runtime/cli/quickstart/held-out-digits';

/** Images that the sample model never saw, as `slipway model evaluate` reads them. @param mislabelled how many have a wrong label */
export function writeDigitsRows(file: string, { rows = 60, mislabelled = 0 } = {}): void {
  const digits = readHeldOutDigits(path.join(__dirname, '../../models/digits/heldout.json')).slice(0, rows);
  const lines = digits.map(({ pixels, label }, i) => {
    const image = Array.from({ length: 8 }, (_, row) => pixels.slice(row * 8, row * 8 + 8));
    return JSON.stringify({ inputs: { image: [image] }, label: i < mislabelled ? (label + 1) % 10 : label });
  });
  writeFileSync(file, `${lines.join('\n')}\n`);
}
