// Writes the digits that models/digits was not trained on as rows to learn from and rows to measure on: train.jsonl and
// validation.jsonl in the folder that is named.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const VALIDATION_ROWS = 100;
const heldOut = new URL('../../../models/digits/heldout.json', import.meta.url);
const { images, labels } = JSON.parse(readFileSync(heldOut, 'utf8'));
const folder = process.argv[2];
mkdirSync(folder, { recursive: true });
const lines = images.map((pixels, row) => {
  const image = [Array.from({ length: 8 }, (_, y) => pixels.slice(y * 8, y * 8 + 8))];
  return JSON.stringify({ inputs: { image }, label: labels[row] });
});
writeFileSync(join(folder, 'train.jsonl'), `${lines.slice(0, -VALIDATION_ROWS).join('\n')}\n`);
writeFileSync(join(folder, 'validation.jsonl'), `${lines.slice(-VALIDATION_ROWS).join('\n')}\n`);
