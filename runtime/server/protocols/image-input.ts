import type { Tensor } from '../../onnx/tensor-encoding';
import { imageValues, valueTables } from '../../preprocess/image-input';
import { decodePicture, type Size } from '../../preprocess/picture';
import { PreprocessError } from '../../preprocess/preprocess-error';
import type { TensorSignature } from '../../spec/model-facts';
import { readInput, showShape } from '../check-inputs';
import type { ServerError } from '../errors';
import type { InferTarget } from '../infer-request';
import { malformed } from '../json-body';
import { refusalOf } from './user-input';

/** Types of pictures that are read. */
export const IMAGE_TYPES = ['image/png', 'image/jpeg', 'image/webp'] as const;

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
 * Makes a model's only input of one picture, for a model whose manifest does not say how: turned as its camera says, stretched
 * to the model's height and width, in red, green and blue or in grey; from 0 to 1 for floating point, from 0 to 255 for
 * integers. The layout is read off the input's shape: channels are a dimension of 1 or 3 before height and width or behind
 * them.
 * @throws ServerError MALFORMED_REQUEST for what is no picture, or a model that takes none; NOT_IMPLEMENTED without `sharp`.
 */
export async function readImage(body: Uint8Array, target: InferTarget): Promise<Tensor> {
  const [signature, another] = target.inputs;
  if (signature === undefined || another !== undefined) {
    throw malformed(`a picture needs a model with one input, model '${target.name}' has ${target.inputs.length}`);
  }
  const layout = layoutOf(signature);
  const { datatype } = signature;
  const how = {
    channels: layout.channels === 1 ? ('grey' as const) : ('rgb' as const),
    layout: layout.isChannelsFirst ? ('NCHW' as const) : ('NHWC' as const),
    scale: datatype.startsWith('FP') ? 1 / 255 : 1,
    mean: [0],
    deviation: [1],
  };
  try {
    const tables = valueTables(how, datatype);
    const picture = await decodePicture(body, (own) => sizeFor(own, layout));
    const { height, width } = picture;
    const sizes = layout.isChannelsFirst ? [layout.channels, height, width] : [height, width, layout.channels];
    const shape = layout.hasRows ? [1, ...sizes] : sizes;
    return readInput(signature, shape, () => imageValues([picture], how, datatype, tables));
  } catch (error) {
    throw PreprocessError.is(error) ? refusalOf(error) : error;
  }
}

/** Where the model takes any size, a picture keeps its own, as long as that is not excessive. */
function sizeFor(own: Size, { height, width }: Layout): Size {
  if (typeof height === 'number' && typeof width === 'number') return { width, height };
  const most = {
    width: typeof width === 'number' ? width : MAX_FREE_SIDE,
    height: typeof height === 'number' ? height : MAX_FREE_SIDE,
  };
  const scale = Math.min(1, most.width / own.width, most.height / own.height);
  return { width: Math.max(1, Math.round(own.width * scale)), height: Math.max(1, Math.round(own.height * scale)) };
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
