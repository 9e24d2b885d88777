import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { clusterModel } from '../compress/cluster-model';
import { sparsifyModel } from '../compress/sparsify-model';
import type { EditOptions } from '../edit/edit-model';
import { optimizeModel } from '../optimize/optimize-model';
import { quantizeModel } from '../optimize/quantize-model';
import type { ReadPreprocessing } from '../preprocessing-file';
import { pruneModel } from '../prune/prune-model';
import { ModelToolError } from '../tool-error';
import { pruneMethodOf, type RecipeStep } from './recipe';

export interface ApplyOptions {
  /** Rows on which ranges are found and each step's result is compared with what it began with. */
  readonly calibration: string;
  /** How these rows become inputs. @default - see `openDataset` */
  readonly preprocessing?: ReadPreprocessing;
  readonly python?: string | undefined;
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * A search judges models by labelled rows at the end, so that a step may change as much as it likes, as long as numbers stay
 * numbers: no difference is larger than this one.
 */
const ANY_NUMBER: Pick<EditOptions, 'tolerance'> = { tolerance: Number.MAX_VALUE };

/**
 * Makes a model by the steps of a recipe, each with its line in the history of the last.
 * @throws what the tools throw; ModelToolError OPTION_INVALID for a pruning method that is none
 */
export async function applyRecipe(
  source: string,
  output: string,
  steps: readonly RecipeStep[],
  options: ApplyOptions,
): Promise<void> {
  const scratch = await mkdtemp(path.join(tmpdir(), 'slipway-search-'));
  try {
    let from = source;
    for (const [i, step] of steps.entries()) {
      options.signal?.throwIfAborted();
      const to = i === steps.length - 1 ? output : path.join(scratch, `step-${i}.onnx`);
      await applyStep(step, from, to, options);
      from = to;
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function applyStep(step: RecipeStep, source: string, output: string, options: ApplyOptions): Promise<void> {
  const { calibration, preprocessing, python, onProgress, signal } = options;
  const own = onProgress === undefined ? {} : { onProgress };
  const rows = { samples: calibration, ...(preprocessing === undefined ? {} : { preprocessing }) };
  const files = { source, output, ...rows, ...ANY_NUMBER, ...own };
  const run = { python, ...(signal === undefined ? {} : { signal }) };
  switch (step.do) {
    case 'optimize': {
      const { do: _, ...given } = step;
      return void (await optimizeModel({ ...files, ...run, ...given }));
    }
    case 'quantize': {
      const { do: _, ...given } = step;
      const ranges = given.mode === 'dynamic' ? {} : { calibration };
      return void (await quantizeModel({ ...files, ...run, ...ranges, ...given }));
    }
    case 'prune': {
      const method = pruneMethodOf(step);
      if (method === undefined) {
        throw new ModelToolError(
          'OPTION_INVALID',
          'method',
          `must be channels, magnitude or a pattern such as 2:4, got '${step.method}'`,
        );
      }
      return void (await pruneModel({ ...files, method, exclude: step.exclude ?? [] }));
    }
    case 'cluster': {
      const { clusters, exclude = [] } = step;
      return void (await clusterModel({ ...files, clusters, exclude }));
    }
    case 'sparsify':
      // What it gives is the same to the bit, or is not written.
      return void (await sparsifyModel({ source, output, ...rows, ...own }));
  }
}
