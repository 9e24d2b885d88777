import { createHash } from 'node:crypto';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { framePicture, imageValues, valueTables } from '../../runtime/preprocess/image-input';
import { decodePicture, MAX_PIXELS, type Size } from '../../runtime/preprocess/picture';
import { PreprocessError } from '../../runtime/preprocess/preprocess-error';
import { resample, type Filter } from '../../runtime/preprocess/resample';
import type { ImagePreprocessing } from '../../runtime/spec/preprocessing';

/** The same whole numbers in any language: red 7x + 13y, green x² + 3y, blue xy + 31, modulo 256. */
async function pattern(width: number, height: number): Promise<Buffer> {
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++)
      pixels.set([(x * 7 + y * 13) % 256, (x * x + y * 3) % 256, (x * y + 31) % 256], (y * width + x) * 3);
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const how = (given: Partial<ImagePreprocessing>): ImagePreprocessing => ({
  kind: 'image',
  width: 16,
  height: 16,
  resize: 'stretch',
  channels: 'rgb',
  layout: 'NCHW',
  scale: 1 / 255,
  mean: [0],
  deviation: [1],
  ...given,
});

// SHA-256 of numpy.asarray(Image.fromarray(pattern).resize(size, filter)), by Pillow 12.3.0. Pillow 13 resamples columns before rows where
// the height shrinks more than the width, which is one level of 255 aside.
const PILLOW: readonly [own: [number, number], wanted: [number, number], filter: Filter, sha256: string][] = [
  [[47, 33], [64, 48], 'bilinear', 'e0cfdd04b6c5a29c2faccb0425d19c4ee4180bf1238d8050902de7dd543de2ea'],
  [[47, 33], [64, 48], 'bicubic', 'ea0abf4afd81ced543e3665832c74ebad27ab5d8d36ae480bb06beeceefffa7a'],
  [[47, 33], [64, 48], 'lanczos', '5f5eff7c0c30de6852d978118f392d9684d3f8fefa459be6f9bbd8096621a7ef'],
  [[400, 300], [64, 48], 'bilinear', '48b2726116d9632a7ebb0969b25c5d9a143000a375b4ab3fcaf83c2e06d5c1a7'],
  [[400, 300], [64, 48], 'bicubic', 'de0445752505890ad2c75e9b4d7b9ae0ec44dc0256f0265ea68479bd4d7badf2'],
  [[400, 300], [64, 48], 'lanczos', '1ae055fbe31ba8ea14cf8ba2826ef1fff773460c1ee5e1257e3991acd87ded29'],
  [[64, 97], [48, 64], 'bilinear', 'd5493929dd142dfc8b747f7fbee1e6b1dc5ac9efae31e69c2fb4be1bdf0b1130'],
  [[64, 97], [48, 64], 'bicubic', 'e493138695b88ec848eab71186a52890bcf5d8139dc934afc3beb7adad0d4eee'],
  [[64, 97], [48, 64], 'lanczos', 'd84ff5cad9067c2d56549d8af9be4ca5fbe3e0c69ee5c327ae941204bd740432'],
  [[31, 29], [224, 224], 'bilinear', '56a7a5901cbd3655faed89a92b79e994fa56b11bc05cc95c45a56da899f3fc8a'],
  [[31, 29], [224, 224], 'bicubic', '9ad618c2693879ac09ec7d416ebd9fee8033b718ab17c6ceed9c3cb995f12fa7'],
  [[31, 29], [224, 224], 'lanczos', 'd0dba55e55dd69f6e361e687dd0d187763e0685a7618fe301fba82ffca9e25f7'],
  [[500, 10], [17, 23], 'bilinear', 'de927aa4290d822e6065871032ff7fb3fad488313b931dd5d9f5497db84538cf'],
  [[500, 10], [17, 23], 'bicubic', '8fbe9495b02e334ebe0cb575dd4d586867e741638f17c131b97067591dc28984'],
  [[500, 10], [17, 23], 'lanczos', 'cdfcd516c03ec1a623ca2a3088e1148b3e0bffccd718b6b140a38e6c73922bbe'],
];

test('a picture is resampled as Pillow does it, to the bit, with every filter', async () => {
  for (const [own, [width, height], filter, digest] of PILLOW) {
    const picture = await decodePicture(await pattern(...own), () => ({ width, height }), filter);
    expect(sha256(picture.pixels), `${own.join('×')} ${filter}`).toBe(digest);
  }
});

test('shorter side, middle, mean and deviation are those of torchvision', async () => {
  // Resize(24), CenterCrop(16) on Pillow 12.3.0, then (x / 255 − mean) ÷ deviation in float64, the pixel at row 3, column 5.
  const crops: readonly [number, number, string, number[]][] = [
    [
      50,
      40,
      '86cf15762428c69392c8309e758d1b43b632a40781e5a7b6772d76625fdaa0c0',
      [-1.39866427, 1.30812325, -0.86326797],
    ],
    [31, 77, 'ee45765a0ea4cd082ecb63031536df613966bf2ac782593130d5a39b1b40c688', [0.05693981, 1.92086835, 0.96679739]],
  ];
  const imagenet = how({
    resize: 'crop',
    shorterSide: 24,
    mean: [0.485, 0.456, 0.406],
    deviation: [0.229, 0.224, 0.225],
  });
  for (const [width, height, digest, values] of crops) {
    const picture = await framePicture(await pattern(width, height), imagenet);
    expect(sha256(picture.pixels)).toBe(digest);
    const data = imageValues([picture], imagenet, 'FP32', valueTables(imagenet, 'FP32')) as Float32Array;
    values.forEach((value, channel) => expect(data[channel * 256 + 3 * 16 + 5]).toBeCloseTo(value, 6));
  }
});

test('channels, layout, scale, mean and deviation put each byte where it belongs', () => {
  const pixels = Buffer.from([10, 20, 30, 40, 50, 60]);
  const picture = { pixels, width: 2, height: 1 };
  const values = (
    given: Partial<ImagePreprocessing>,
    datatype: 'FP32' | 'UINT8' | 'INT8' | 'INT64' = 'FP32',
  ): unknown[] => {
    const all = how({ width: 2, height: 1, scale: 1, ...given });
    return [...(imageValues([picture], all, datatype, valueTables(all, datatype)) as Float32Array)];
  };
  expect(values({})).toEqual([10, 40, 20, 50, 30, 60]);
  expect(values({ layout: 'NHWC' })).toEqual([10, 20, 30, 40, 50, 60]);
  expect(values({ channels: 'bgr' })).toEqual([30, 60, 20, 50, 10, 40]);
  expect(values({ channels: 'bgr', layout: 'NHWC', mean: [1, 2, 3] })).toEqual([29, 18, 7, 59, 48, 37]);
  expect(values({ mean: [10], deviation: [10] })).toEqual([0, 3, 1, 4, 2, 5]);
  expect(values({ layout: 'NHWC' }, 'UINT8')).toEqual([10, 20, 30, 40, 50, 60]);
  expect(values({ mean: [128] }, 'INT8')).toEqual([-118, -88, -108, -78, -98, -68]);
  expect(values({ layout: 'NHWC' }, 'INT64')).toEqual([10n, 20n, 30n, 40n, 50n, 60n]);
  // (299 R + 587 G + 114 B) ÷ 1000, as Pillow rounds it.
  expect(values({ channels: 'grey' })).toEqual([18, 48]);
  expect(() => values({ mean: [1] }, 'UINT8')).toThrow('makes values like -1, which UINT8 cannot hold');
});

test('padding keeps the proportions and the middle, and fills what is missing', async () => {
  const white = await sharp({ create: { width: 8, height: 4, channels: 3, background: '#fff' } })
    .png()
    .toBuffer();
  const { pixels } = await framePicture(white, how({ width: 8, height: 8, resize: 'pad', border: 7 }));
  const rows = Array.from({ length: 8 }, (_, y) => pixels[y * 24]);
  expect(rows).toEqual([7, 7, 255, 255, 255, 255, 7, 7]);
});

test('a picture is turned as its camera says', async () => {
  const lying = await sharp(await pattern(6, 4))
    .withMetadata({ orientation: 6 })
    .jpeg()
    .toBuffer();
  let seen: Size | undefined;
  await decodePicture(lying, (own) => (seen = own));
  expect(seen).toMatchObject({ width: 4, height: 6 });
});

test('a large picture is within three levels of the exact result', async () => {
  const width = 1_600;
  const height = 1_200;
  const smooth = Buffer.alloc(width * height * 3);
  for (let i = 0; i < smooth.length; i++) smooth[i] = 128 + 100 * Math.sin(i / 3 / 170) * Math.cos(i / 3 / width / 90);
  const png = await sharp(smooth, { raw: { width, height, channels: 3 } })
    .png({ compressionLevel: 1 })
    .toBuffer();
  const exact = resample({ pixels: smooth, width, height }, { width: 96, height: 96 }, 'bilinear');
  const fast = await decodePicture(png, () => ({ width: 96, height: 96 }));
  const most = exact.pixels.reduce((max, byte, i) => Math.max(max, Math.abs(byte - fast.pixels[i]!)), 0);
  expect(most).toBeLessThanOrEqual(3);
});

test('what is no picture, or too much of one, is refused', async () => {
  const refused = async (body: Uint8Array, given: Partial<ImagePreprocessing> = {}): Promise<string> => {
    const error: unknown = await framePicture(body, how(given)).catch((reason: unknown) => reason);
    if (!PreprocessError.is(error)) throw new Error('it was accepted');
    expect(error.failure).toBe('input');
    return error.message;
  };
  expect(await refused(Buffer.from('<svg/>'))).toBe('must be a picture: PNG, JPEG or WebP');
  expect(await refused(Buffer.from('\x89PNG\r\n\x1a\n half', 'latin1'))).toMatch(/^must be a picture: /);
  const bomb = await sharp({ create: { width: 9_000, height: 9_000, channels: 3, background: '#000' } })
    .png()
    .toBuffer();
  expect(await refused(bomb)).toMatch(new RegExp(`^a picture must have at most ${MAX_PIXELS} pixels`));
  const whole = await sharp({ create: { width: 64, height: 48, channels: 3, background: '#a24' } })
    .jpeg()
    .toBuffer();
  expect(await refused(whole.subarray(0, whole.length >> 1))).toMatch(/^must be a picture: [^\n]*[^\n:]$/);
  // Cutting the middle out of it would first make it 224 times as long.
  const sliver = await sharp({ create: { width: 9_000, height: 1, channels: 3, background: '#000' } })
    .png()
    .toBuffer();
  expect(await refused(sliver, { resize: 'crop' })).toBe('a picture is too long and narrow: 9000 × 1');
});
