// Writes a hundred of the digits that models/digits was not trained on as people have them: dark on white, PNG files in a folder for
// each class, below the folder that is named.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';

const ROWS = 100;
const DARKEST = 16;
const heldOut = new URL('../../../models/digits/heldout.json', import.meta.url);
const { images, labels } = JSON.parse(readFileSync(heldOut, 'utf8'));
const folder = process.argv[2];
for (const [row, pixels] of images.slice(0, ROWS).entries()) {
  const place = join(folder, String(labels[row]));
  mkdirSync(place, { recursive: true });
  const bytes = Uint8Array.from(pixels, (ink) => 255 - Math.round((ink * 255) / DARKEST));
  await sharp(bytes, { raw: { width: 8, height: 8, channels: 1 } })
    .png()
    .toFile(join(place, `${String(row).padStart(3, '0')}.png`));
}
