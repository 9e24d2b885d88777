import type { Sharp } from 'sharp';
import { makeTensorData, type Tensor } from '../../onnx/tensor-encoding';
import { toHalfBits } from '../../onnx/half-float';
import type { TensorSignature } from '../../spec/model-facts';
import { readInput, showShape } from '../check-inputs';
import { ServerError } from '../errors';
import type { InferTarget } from '../infer-request';
import { malformed } from '../json-body';

/** Types of pictures that are read. */
export const IMAGE_TYPES = ['image/png', 'image/jpeg', 'image/webp'] as const;

/** What files of these types begin with. */
const SIGNATURES = [/^\x89PNG\r\n\x1a\n/, /^\xff\xd8\xff/, /^RIFF[^]{4}WEBP/];

/** A picture of few bytes can have very many: this many are decoded at most. */
const MAX_PIXELS = 64 * 2 ** 20;
/** Longest side where the model takes any size. */
const MAX_FREE_SIDE = 4_096;

interface Layout {
  readonly channels: 1 | 3;
  readonly isChannelsFirst: boolean;
  readonly height: number | string;
  readonly width: number | string;
  readonly hasRows: boolean;
}

/**
 * Makes a model's only input of one picture: turned as its camera says, stretched to the model's height and width, in red,
 * green and blue or in grey. The layout is read off the input's shape: channels are a dimension of 1 or 3 before height and
 * width or behind them.
 * @throws ServerError MALFORMED_REQUEST for what is no picture, or a model that takes none; NOT_IMPLEMENTED without `sharp`.
 */
export async function readImage(body: Uint8Array, target: InferTarget): Promise<Tensor> {
  const [signature, another] = target.inputs;
  if (signature === undefined || another !== undefined) {
    throw malformed(`a picture needs a model with one input, model '${target.name}' has ${target.inputs.length}`);
  }
  const layout = layoutOf(signature);
  const { pixels, height, width } = await decode(body, layout);
  const sizes = layout.isChannelsFirst ? [layout.channels, height, width] : [height, width, layout.channels];
  const shape = layout.hasRows ? [1, ...sizes] : sizes;
  return readInput(signature, shape, () => convert(signature, pixels, height * width, layout));
}

function layoutOf({ name, datatype, shape }: TensorSignature): Layout {
  const takesNone = (): ServerError =>
    malformed(
      `input '${name}' takes no picture: its shape ${showShape(shape)} must have 1 or 3 channels, a height and a width, and its datatype ${datatype} must hold numbers`,
    );
  const hasRows = shape.length === 4;
  const sizes = hasRows ? shape.slice(1) : shape;
  const isOne = !hasRows || typeof shape[0] === 'string' || shape[0] === 1;
  if (sizes.length !== 3 || !isOne || datatype === 'BYTES' || datatype === 'BOOL') throw takesNone();
  const isChannels = (size: number | string | undefined): size is 1 | 3 => size === 1 || size === 3;
  const [first, second, third] = sizes as [number | string, number | string, number | string];
  if (isChannels(first)) return { channels: first, isChannelsFirst: true, height: second, width: third, hasRows };
  if (isChannels(third)) return { channels: third, isChannelsFirst: false, height: first, width: second, hasRows };
  throw takesNone();
}

interface Pixels {
  /** Interleaved. */
  readonly pixels: Uint8Array;
  readonly height: number;
  readonly width: number;
}

async function decode(body: Uint8Array, layout: Layout): Promise<Pixels> {
  // The library reads many more formats than anybody sends, and each is code that a stranger could reach.
  if (!SIGNATURES.some((signature) => signature.test(Buffer.from(body.subarray(0, 12)).toString('latin1')))) {
    throw malformed('the request must be a picture: PNG, JPEG or WebP');
  }
  const open = await loadSharp();
  try {
    const image = open(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
    const { width: own, height: ownHeight } = await image.metadata();
    if (own * ownHeight > MAX_PIXELS) {
      throw malformed(`a picture must have at most ${MAX_PIXELS} pixels, got ${own} × ${ownHeight}`);
    }
    const { height, width } = layout;
    const isFree = typeof height === 'string' || typeof width === 'string';
    const turned = image.rotate();
    const sized = isFree
      ? turned.resize({
          width: typeof width === 'number' ? width : MAX_FREE_SIDE,
          height: typeof height === 'number' ? height : MAX_FREE_SIDE,
          fit: 'inside',
          withoutEnlargement: true,
        })
      : turned.resize({ width, height, fit: 'fill' });
    const coloured = sized.flatten({ background: '#000' }).toColourspace(layout.channels === 1 ? 'b-w' : 'srgb');
    const { data, info } = await coloured.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    if (info.channels !== layout.channels) {
      throw malformed(`a picture must have ${layout.channels} channels, got ${info.channels}`);
    }
    return { pixels: data, height: info.height, width: info.width };
  } catch (error) {
    if (error instanceof ServerError) throw error;
    throw malformed(`the request must be a picture: ${(error as Error).message.slice(0, 200)}`);
  }
}

/** Loaded when the first picture comes: it is large, and an installation may be without it. */
async function loadSharp(): Promise<(body: Buffer) => Sharp> {
  try {
    const { default: sharp } = await import('sharp');
    return (body) => sharp(body, { limitInputPixels: MAX_PIXELS, pages: 1, failOn: 'error' });
  } catch (error) {
    const reason =
      (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND'
        ? 'is not installed beside this server'
        : 'cannot be loaded on this machine';
    throw new ServerError('NOT_IMPLEMENTED', `pictures need the package sharp, which ${reason}`);
  }
}

/** From 0 to 1 for floating point, from 0 to 255 for integers: a model that was trained on something else has it in its graph or its hook. */
function convert(
  { datatype }: TensorSignature,
  pixels: Uint8Array,
  area: number,
  { channels, isChannelsFirst }: Layout,
): Tensor['data'] {
  const isFloat = datatype.startsWith('FP');
  const isWide = datatype === 'INT64' || datatype === 'UINT64';
  return makeTensorData(datatype, pixels.length, (i) => {
    const byte = pixels[isChannelsFirst ? (i % area) * channels + Math.floor(i / area) : i]!;
    if (datatype === 'FP16') return toHalfBits(byte / 255);
    return isFloat ? byte / 255 : isWide ? BigInt(byte) : byte;
  });
}
