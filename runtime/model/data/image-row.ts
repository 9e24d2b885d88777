import type { Sharp } from 'sharp';
import { toHalfBits } from '../../onnx/half-float';
import { makeTensorData } from '../../onnx/tensor-encoding';
import type { ImagePreprocessing } from '../../spec/preprocessing';
import type { TensorSignature } from '../../spec/model-facts';
import { importPackage } from '../import-package';
import { ModelToolError } from '../tool-error';
import type { RowInput } from './batch-rows';
import { rowDimensions, showDimensions } from './row-shape';

/** A picture of few bytes can have very many: this many are decoded at most. */
const MAX_PIXELS = 64 * 2 ** 20;

/**
 * What a model without preprocessing is given: pictures stretched to its size, from 0 to 1 where it takes floating point, from
 * 0 to 255 where it takes integers, as `/predict` does.
 * @throws ModelToolError DATA_MISFIT for an input that no picture fits
 */
export function plainImagePreprocessing(input: TensorSignature, source: string): ImagePreprocessing {
  const [a, b, c, ...rest] = rowDimensions(input);
  const isChannels = (size: unknown): size is 1 | 3 => size === 1 || size === 3;
  const [channels, height, width] = isChannels(a) ? [a, b, c] : [c, a, b];
  const isNumber = input.datatype !== 'BYTES' && input.datatype !== 'BOOL';
  if (
    rest.length > 0 ||
    !isChannels(channels) ||
    typeof height !== 'number' ||
    typeof width !== 'number' ||
    !isNumber
  ) {
    throw new ModelToolError(
      'DATA_MISFIT',
      source,
      `input '${input.name}' ${input.datatype} ${showDimensions(input.shape)} takes no picture: it needs numbers, 1 or 3 channels, a height and a width`,
    );
  }
  return {
    kind: 'image',
    width,
    height,
    resize: 'stretch',
    channels: channels === 1 ? 'grey' : 'rgb',
    layout: isChannels(a) ? 'NCHW' : 'NHWC',
    scale: input.datatype.startsWith('FP') ? 1 / 255 : 1,
    mean: [0],
    deviation: [1],
  };
}

/** One picture as a row of an input. @throws ModelToolError DATA_UNREADABLE */
export async function imageRow(
  bytes: Uint8Array,
  preprocessing: ImagePreprocessing,
  { datatype }: TensorSignature,
  at: string,
): Promise<RowInput> {
  const { width, height, layout, channels, scale, mean, deviation } = preprocessing;
  const count = channels === 'grey' ? 1 : 3;
  const pixels = await decode(bytes, preprocessing, count, at);
  const isFloat = datatype.startsWith('FP');
  const isWide = datatype === 'INT64' || datatype === 'UINT64';
  const area = width * height;
  const data = makeTensorData(datatype, pixels.length, (i) => {
    const channel = layout === 'NCHW' ? Math.floor(i / area) : i % count;
    const pixel = layout === 'NCHW' ? i % area : Math.floor(i / count);
    const byte = pixels[pixel * count + (channels === 'bgr' ? 2 - channel : channel)]!;
    const value = (byte * scale - mean[channel % mean.length]!) / deviation[channel % deviation.length]!;
    if (datatype === 'FP16') return toHalfBits(value);
    return isFloat ? value : isWide ? BigInt(Math.round(value)) : Math.round(value);
  });
  return { shape: layout === 'NCHW' ? [count, height, width] : [height, width, count], data };
}

async function decode(
  bytes: Uint8Array,
  { width, height, resize, shorterSide, border = 0, filter = 'bilinear', channels }: ImagePreprocessing,
  count: number,
  at: string,
): Promise<Uint8Array> {
  const { default: sharp } = await importPackage('sharp', 'to read pictures', () => import('sharp'));
  const kernel = ({ bilinear: 'linear', bicubic: 'cubic', lanczos: 'lanczos3' } as const)[filter];
  const background = { r: border, g: border, b: border };
  try {
    const image = sharp(bytes, { limitInputPixels: MAX_PIXELS, pages: 1, failOn: 'error' })
      .rotate()
      .flatten({ background: '#000' });
    if (resize === 'stretch') image.resize({ width, height, fit: 'fill', kernel });
    if (resize === 'pad') image.resize({ width, height, fit: 'contain', background, kernel });
    if (resize === 'crop') {
      const side = shorterSide ?? Math.max(width, height);
      const scaled = await image
        .resize({ width: side, height: side, fit: 'outside', kernel })
        .png()
        .toBuffer({ resolveWithObject: true });
      const left = Math.round((scaled.info.width - width) / 2);
      const top = Math.round((scaled.info.height - height) / 2);
      return await raw(sharp(scaled.data).extract({ left, top, width, height }), channels, count);
    }
    return await raw(image, channels, count);
  } catch (error) {
    throw new ModelToolError(
      'DATA_UNREADABLE',
      at,
      `must be a picture (PNG, JPEG or WebP): ${(error as Error).message.slice(0, 200)}`,
    );
  }
}

async function raw(image: Sharp, channels: ImagePreprocessing['channels'], count: number): Promise<Uint8Array> {
  const { data, info } = await image
    .toColourspace(channels === 'grey' ? 'b-w' : 'srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== count) throw new Error(`it has ${info.channels} channels, and the model takes ${count}`);
  return data;
}
