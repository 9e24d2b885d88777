import type { CalibrationMethod } from '../optimize/quantize-model';
import type { PruneMethod } from '../prune/prune-model';

/** One change of a model. Fields are the flags of the command of the same name, and so are their defaults. */
export type RecipeStep =
  | {
      readonly do: 'optimize';
      readonly simplify?: boolean;
      readonly precision?: 'fp16';
      readonly exclude?: readonly string[];
    }
  | {
      readonly do: 'quantize';
      readonly mode?: 'static' | 'dynamic';
      readonly method?: CalibrationMethod;
      readonly percentile?: number;
      readonly perChannel?: boolean;
      readonly reduceRange?: boolean;
      readonly exclude?: readonly string[];
      /** How many of the nodes that change outputs most stay as they are. `auto` needs an acceptance, which a search has none of. */
      readonly excludeMost?: number;
      readonly calibrationRows?: number;
    }
  | ({ readonly do: 'prune'; readonly exclude?: readonly string[] } & RecipePruning)
  | { readonly do: 'cluster'; readonly clusters: number; readonly exclude?: readonly string[] }
  | { readonly do: 'sparsify' };

/** As on the command line: `channels`, `magnitude`, or a pattern such as `2:4`. */
export interface RecipePruning {
  readonly method: string;
  /** For `channels`. @default 0.3 */
  readonly ratio?: number;
  /** For `magnitude`. @default 0.5 */
  readonly sparsity?: number;
  readonly scope?: 'layer' | 'global';
  readonly norm?: 'l1' | 'l2';
  readonly roundTo?: number;
}

/** Changes that are made one after the other, under the name that tables and pictures call their result. */
export interface Recipe {
  readonly name: string;
  readonly steps: readonly RecipeStep[];
}

/** The name of the model that nothing was done to, beside those of the recipes. */
export const SOURCE_NAME = 'source';

/**
 * What is tried when nobody says what. Patterns such as 2:4 are not among them: what they leave is neither smaller nor, on the
 * processors and GPUs that ONNX Runtime has kernels for, faster.
 */
export const DEFAULT_RECIPES: readonly Recipe[] = [
  { name: 'simplified', steps: [{ do: 'optimize' }] },
  { name: 'fp16', steps: [{ do: 'optimize', precision: 'fp16' }] },
  { name: 'int8-dynamic', steps: [{ do: 'quantize', mode: 'dynamic' }] },
  { name: 'int8', steps: [{ do: 'optimize' }, { do: 'quantize' }] },
  { name: 'int8-entropy', steps: [{ do: 'optimize' }, { do: 'quantize', method: 'entropy' }] },
  { name: 'int8-percentile', steps: [{ do: 'optimize' }, { do: 'quantize', method: 'percentile', percentile: 99.99 }] },
  { name: 'clusters-16', steps: [{ do: 'cluster', clusters: 16 }] },
  { name: 'channels-10', steps: [{ do: 'prune', method: 'channels', ratio: 0.1 }] },
  { name: 'channels-25', steps: [{ do: 'prune', method: 'channels', ratio: 0.25 }] },
  {
    name: 'channels-10-int8',
    steps: [{ do: 'prune', method: 'channels', ratio: 0.1 }, { do: 'optimize' }, { do: 'quantize' }],
  },
];

/** The method of a pruning step, as the function takes it; undefined for a word that is none. */
export function pruneMethodOf({
  method,
  ratio = 0.3,
  sparsity = 0.5,
  scope,
  norm,
  roundTo,
}: RecipePruning): PruneMethod | undefined {
  const scoped = scope === undefined ? {} : { scope };
  const pattern = /^(\d{1,4}):(\d{1,4})$/.exec(method);
  if (pattern !== null) return { kind: 'n:m', keep: Number(pattern[1]), of: Number(pattern[2]) };
  if (method === 'magnitude') return { kind: method, sparsity, ...scoped };
  if (method !== 'channels') return undefined;
  return {
    kind: method,
    ratio,
    ...scoped,
    ...(norm === undefined ? {} : { norm }),
    ...(roundTo === undefined ? {} : { roundTo }),
  };
}
