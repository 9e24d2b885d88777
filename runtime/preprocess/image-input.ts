import { toHalfBits } from '../onnx/half-float';
import { allocateTensorData, type TensorData } from '../onnx/tensor-encoding';
import type { Datatype } from '../spec/datatypes';
import type { ImagePreprocessing } from '../spec/preprocessing';
import { decodePicture, type Picture, type Size } from './picture';
import { PreprocessError } from './preprocess-error';

/** Makes of a picture what a model's preprocessing says: resized, its borders added or cut, three channels. */
export async function framePicture(body: Uint8Array, how: ImagePreprocessing): Promise<Picture> {
  const { width, height, resize, filter = 'bilinear' } = how;
  if (resize === 'stretch') return decodePicture(body, () => ({ width, height }), filter);
  if (resize === 'crop') {
    const side = how.shorterSide;
    return cutMiddle(await decodePicture(body, (own) => covering(own, how, side), filter), how);
  }
  return addBorders(await decodePicture(body, (own) => fitting(own, how), filter), how, how.border ?? 0);
}

/** The longer side is rounded down and the middle to even, as torchvision does. */
function covering(own: Size, { width, height }: Size, shorterSide: number | undefined): Size {
  const [w, h] = shorterSide === undefined ? [width, height] : [shorterSide, shorterSide];
  return own.width * h <= own.height * w
    ? { width: w, height: Math.max(h, Math.trunc((own.height * w) / own.width)) }
    : { width: Math.max(w, Math.trunc((own.width * h) / own.height)), height: h };
}

function fitting(own: Size, { width, height }: Size): Size {
  const scale = Math.min(width / own.width, height / own.height);
  const side = (length: number, most: number): number => Math.min(most, Math.max(1, Math.round(length * scale)));
  return { width: side(own.width, width), height: side(own.height, height) };
}

function cutMiddle(picture: Picture, { width, height }: Size): Picture {
  const left = roundToEven((picture.width - width) / 2);
  const top = roundToEven((picture.height - height) / 2);
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * picture.width + left) * 3;
    pixels.set(picture.pixels.subarray(from, from + width * 3), y * width * 3);
  }
  return { pixels, width, height };
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

function addBorders(picture: Picture, { width, height }: Size, border: number): Picture {
  const left = Math.floor((width - picture.width) / 2);
  const top = Math.floor((height - picture.height) / 2);
  const pixels = new Uint8Array(width * height * 3).fill(border);
  for (let y = 0; y < picture.height; y++) {
    const row = picture.pixels.subarray(y * picture.width * 3, (y + 1) * picture.width * 3);
    pixels.set(row, ((top + y) * width + left) * 3);
  }
  return { pixels, width, height };
}

/** What each byte of each channel becomes: there are 256 of them, so nothing is computed twice. */
export type ValueTables = readonly (readonly (number | bigint)[])[];

/** @throws PreprocessError for values that the input's datatype cannot hold. */
export function valueTables(
  how: Pick<ImagePreprocessing, 'channels' | 'scale' | 'mean' | 'deviation'>,
  datatype: Datatype,
): ValueTables {
  const count = how.channels === 'grey' ? 1 : 3;
  return Array.from({ length: count }, (_, channel) => {
    const mean = how.mean[how.mean.length === 1 ? 0 : channel]!;
    const deviation = how.deviation[how.deviation.length === 1 ? 0 : channel]!;
    return Array.from({ length: 256 }, (_, byte) => toElement((byte * how.scale - mean) / deviation, datatype));
  });
}

const RANGES: Readonly<Partial<Record<Datatype, readonly [number, number]>>> = {
  INT8: [-128, 127],
  UINT8: [0, 255],
  INT16: [-32_768, 32_767],
  UINT16: [0, 65_535],
  INT32: [-(2 ** 31), 2 ** 31 - 1],
  UINT32: [0, 2 ** 32 - 1],
  INT64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  UINT64: [0, Number.MAX_SAFE_INTEGER],
};

function toElement(value: number, datatype: Datatype): number | bigint {
  if (datatype === 'FP16') return toHalfBits(value);
  const range = RANGES[datatype];
  if (range === undefined) return value;
  const whole = Math.round(value);
  if (whole < range[0] || whole > range[1]) {
    throw new PreprocessError('setup', `makes values like ${whole}, which ${datatype} cannot hold`);
  }
  return datatype === 'INT64' || datatype === 'UINT64' ? BigInt(whole) : whole;
}

/** Brings the channels of pictures into a model's order, and each byte to its value; all pictures are of one size. */
export function imageValues(
  pictures: readonly Picture[],
  { channels, layout }: Pick<ImagePreprocessing, 'channels' | 'layout'>,
  datatype: Datatype,
  tables: ValueTables,
): TensorData {
  const [first] = pictures as readonly [Picture];
  const area = first.width * first.height;
  const count = tables.length;
  const data = allocateTensorData(datatype, pictures.length * area * count) as unknown as number[];
  pictures.forEach(({ pixels }, row) => {
    const at = row * area * count;
    for (let channel = 0; channel < count; channel++) {
      const table = tables[channel]! as readonly number[];
      const source = channels === 'bgr' ? 2 - channel : channel;
      const [begin, step] = layout === 'NCHW' ? [at + channel * area, 1] : [at + channel, count];
      for (let i = 0; i < area; i++) {
        const byte = channels === 'grey' ? luma(pixels, i * 3) : pixels[i * 3 + source]!;
        data[begin + i * step] = table[byte]!;
      }
    }
  });
  return data as unknown as TensorData;
}

/** ITU-R 601, in Pillow's whole numbers. */
function luma(pixels: Uint8Array, at: number): number {
  return (pixels[at]! * 19_595 + pixels[at + 1]! * 38_470 + pixels[at + 2]! * 7_471 + 0x8000) >> 16;
}
