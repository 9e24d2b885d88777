import type { Sharp } from 'sharp';
import { PreprocessError } from './preprocess-error';
import { resample, type Filter } from './resample';

/** Red, green and blue of each pixel, row by row, one byte each. */
export interface Picture {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What files of the types that are read begin with: PNG, JPEG and WebP. */
const SIGNATURES = [/^\x89PNG\r\n\x1a\n/, /^\xff\xd8\xff/, /^RIFF[^]{4}WEBP/];

/** A picture of few bytes can have very many: this many are decoded at most. */
export const MAX_PIXELS = 64 * 2 ** 20;
/** Longest side that a picture is ever brought to, before its middle is cut out. */
const MAX_SIDE = 16_384;
/**
 * Pixels that are resampled exactly. Larger pictures are first reduced, off this thread, to what is still so much larger than
 * the result that the difference is below what a JPEG loses.
 */
const MAX_EXACT_PIXELS = 2 ** 20;
const REDUCTION_GAP = 3;

/**
 * Decodes a picture, turned as its camera says, and brings it to a size.
 * @param sizeOf the size that is wanted, from that of the picture as people see it
 * @throws PreprocessError for what is no picture, or too large a one, or without the package `sharp`.
 */
export async function decodePicture(
  body: Uint8Array,
  sizeOf: (own: Size) => Size,
  filter: Filter = 'bilinear',
): Promise<Picture> {
  // The library reads many more formats than anybody sends, and each is code that a stranger could reach.
  if (!SIGNATURES.some((signature) => signature.test(Buffer.from(body.subarray(0, 12)).toString('latin1')))) {
    throw new PreprocessError('input', 'must be a picture: PNG, JPEG or WebP');
  }
  const open = await loadSharp();
  try {
    const image = open(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
    const { width: stored, height: storedHeight, autoOrient: own } = await image.metadata();
    if (stored * storedHeight > MAX_PIXELS) {
      throw tooLarge(`must have at most ${MAX_PIXELS} pixels, got ${stored} × ${storedHeight}`);
    }
    const wanted = sizeOf(own);
    if (Math.max(wanted.width, wanted.height) > MAX_SIDE) {
      throw tooLarge(`is too long and narrow: ${own.width} × ${own.height}`);
    }
    const turned = image.rotate().flatten({ background: '#000' }).toColourspace('srgb');
    const reduced = reducedSize(own, wanted);
    const sized = reduced === undefined ? turned : turned.resize({ ...reduced, fit: 'fill' });
    const { data, info } = await sized.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    const decoded: Picture = { pixels: toRgb(data, info.channels), width: info.width, height: info.height };
    return resample(decoded, wanted, filter);
  } catch (error) {
    if (PreprocessError.is(error)) throw error;
    // The library says what each of its parts says, a line each.
    const [line = ''] = (error as Error).message.split('\n');
    if (/pixel limit/.test(line)) throw tooLarge(`must have at most ${MAX_PIXELS} pixels`);
    throw new PreprocessError('input', `must be a picture: ${line.replace(/[:\s]+$/, '').slice(0, 200)}`);
  }
}

function tooLarge(message: string): PreprocessError {
  return new PreprocessError('input', `a picture ${message}`);
}

function reducedSize(own: Size, wanted: Size): Size | undefined {
  if (own.width * own.height <= MAX_EXACT_PIXELS) return undefined;
  const width = Math.min(own.width, wanted.width * REDUCTION_GAP);
  const height = Math.min(own.height, wanted.height * REDUCTION_GAP);
  return width === own.width && height === own.height ? undefined : { width, height };
}

/** Grey pictures have one channel even in the colour space of red, green and blue. */
function toRgb(data: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return data;
  if (channels !== 1) throw new PreprocessError('input', `must be a picture of 1 or 3 channels, got ${channels}`);
  const pixels = new Uint8Array(data.length * 3);
  data.forEach((byte, i) => pixels.fill(byte, i * 3, i * 3 + 3));
  return pixels;
}

/** Loaded when the first picture comes: it is large, and an installation may be without it. */
async function loadSharp(): Promise<(body: Buffer) => Sharp> {
  try {
    const { default: sharp } = await import('sharp');
    return (body) => sharp(body, { limitInputPixels: MAX_PIXELS, pages: 1, failOn: 'error' });
  } catch (error) {
    const isAbsent = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND'].includes((error as NodeJS.ErrnoException).code ?? '');
    const reason = isAbsent ? 'is not installed here' : 'cannot be loaded on this machine';
    throw new PreprocessError('missing', `pictures need the package sharp, which ${reason}`);
  }
}
