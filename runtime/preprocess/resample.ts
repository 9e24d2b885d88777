import type { Picture, Size } from './picture';

export type Filter = 'bilinear' | 'bicubic' | 'lanczos';

/** Weights are whole numbers with so many binary places, as in Pillow, so that results are the same to the bit. */
const WEIGHT_BITS = 22;

/**
 * Resamples a picture as Pillow and torchvision do on 8-bit pictures: one pass by rows, one by columns, each sample a sum
 * over a window that grows with the reduction. Models are trained on pictures that Pillow made smaller; a window of fixed
 * size, or samples taken half a pixel aside, is another picture.
 */
export function resample(picture: Picture, { width, height }: Size, filter: Filter): Picture {
  const across = picture.width === width ? picture : resampleRows(picture, width, filter);
  return across.height === height ? across : resampleColumns(across, height, filter);
}

function resampleRows({ pixels, width: own, height }: Picture, width: number, filter: Filter): Picture {
  const { starts, counts, weights, most } = windows(own, width, filter);
  const out = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const row = y * own * 3;
    for (let x = 0; x < width; x++) {
      let [red, green, blue] = [HALF, HALF, HALF];
      let from = row + starts[x]! * 3;
      const end = x * most + counts[x]!;
      for (let w = x * most; w < end; w++) {
        const weight = weights[w]!;
        red += pixels[from]! * weight;
        green += pixels[from + 1]! * weight;
        blue += pixels[from + 2]! * weight;
        from += 3;
      }
      const to = (y * width + x) * 3;
      out[to] = toByte(red);
      out[to + 1] = toByte(green);
      out[to + 2] = toByte(blue);
    }
  }
  return { pixels: out, width, height };
}

function resampleColumns({ pixels, width, height: own }: Picture, height: number, filter: Filter): Picture {
  const { starts, counts, weights, most } = windows(own, height, filter);
  const stride = width * 3;
  const out = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const begin = y * most;
    const end = begin + counts[y]!;
    for (let i = 0; i < stride; i++) {
      let sum = HALF;
      let from = starts[y]! * stride + i;
      for (let w = begin; w < end; w++) {
        sum += pixels[from]! * weights[w]!;
        from += stride;
      }
      out[y * stride + i] = toByte(sum);
    }
  }
  return { pixels: out, width, height };
}

const HALF = 2 ** (WEIGHT_BITS - 1);

function toByte(sum: number): number {
  const value = sum >> WEIGHT_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

interface Windows {
  /** First sample of each result. */
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  /** `most` for each result, of which it uses as many as it counts. */
  readonly weights: Int32Array;
  readonly most: number;
}

function windows(own: number, wanted: number, filter: Filter): Windows {
  const { support, weigh } = FILTERS[filter];
  const scale = own / wanted;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  const most = Math.ceil(reach) * 2 + 1;
  const starts = new Int32Array(wanted);
  const counts = new Int32Array(wanted);
  const weights = new Int32Array(wanted * most);
  const plain = new Float64Array(most);
  const inverse = 1 / stretch;
  for (let i = 0; i < wanted; i++) {
    const centre = (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const count = Math.min(own, Math.trunc(centre + reach + 0.5)) - start;
    let sum = 0;
    for (let w = 0; w < count; w++) {
      plain[w] = weigh((w + start - centre + 0.5) * inverse);
      sum += plain[w]!;
    }
    for (let w = 0; w < count; w++) {
      const weight = (sum === 0 ? plain[w]! : plain[w]! / sum) * 2 ** WEIGHT_BITS;
      weights[i * most + w] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    starts[i] = start;
    counts[i] = count;
  }
  return { starts, counts, weights, most };
}

const FILTERS: Readonly<Record<Filter, { readonly support: number; readonly weigh: (distance: number) => number }>> = {
  bilinear: { support: 1, weigh: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weigh: cubic },
  lanczos: { support: 3, weigh: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Keys' cubic with a = −0.5. */
function cubic(distance: number): number {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}
