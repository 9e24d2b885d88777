import path from 'node:path';
import type { EditOptions, EditReport } from '../edit/edit-model';
import { runPython } from '../python/run-python';
import { ModelToolError } from '../tool-error';
import { rewriteModel } from './rewrite-model';
import { timeBoth, type SpeedGain } from './time-both';

export interface OptimizeOptions extends EditOptions {
  /** Folds constants, removes what has no effect, joins nodes. @default true */
  readonly simplify?: boolean;
  /**
   * `fp16`: weights and values in between as half floats, for GPUs; inputs and outputs stay as they are. On a CPU it is mostly
   * slower. `bf16` is refused: ONNX Runtime's CPU kernels do not have it, and so nothing could be compared.
   * @default - as the model has it
   */
  readonly precision?: 'fp16' | 'bf16';
  /** Nodes that stay in full precision, by name. @default - none but those that ONNX Runtime has no half kernels for */
  readonly exclude?: readonly string[];
  readonly python?: string | undefined;
  readonly signal?: AbortSignal;
}

export interface OptimizeDetail {
  readonly nodesBefore: number;
  readonly nodesAfter: number;
  readonly speed: SpeedGain;
}

/** Folding changes the order of sums; halves have 11 bits. */
const ACCEPTED = { same: { tolerance: 1e-4 }, fp16: { tolerance: 0.02 } };

/**
 * Simplifies the graph of a model, and makes its numbers half as wide where that is asked.
 * @throws as `editModel`; ModelToolError OPTION_INVALID, OPTIMIZATION_FAILED, PYTHON_…
 */
export async function optimizeModel(options: OptimizeOptions): Promise<EditReport<OptimizeDetail>> {
  const { source, simplify = true, precision, exclude = [], onProgress = () => {} } = options;
  if (precision === 'bf16') {
    throw new ModelToolError(
      'OPTION_INVALID',
      '--precision',
      'bf16 has no kernels in ONNX Runtime for CPUs, so nothing could be compared with its source: use fp16',
    );
  }
  if (!simplify && precision === undefined) {
    throw new ModelToolError('OPTION_INVALID', '--no-simplify', 'leaves nothing to do: give --precision fp16, too');
  }
  const command = ['slipway model optimize', ...(simplify ? [] : ['--no-simplify'])];
  if (precision !== undefined) command.push(`--precision ${precision}`);
  return rewriteModel(
    options,
    command.join(' '),
    precision === undefined ? ACCEPTED.same : ACCEPTED.fp16,
    async (file, facts) => {
      const request = {
        model: path.resolve(source),
        output: file,
        simplify,
        precision: precision ?? null,
        keepIo: true,
        blocked: exclude,
      };
      const run = { python: options.python, progress: onProgress, signal: options.signal };
      const { result, environment } = await runPython<Omit<OptimizeDetail, 'speed'>>(
        'onnx',
        'optimize_model',
        request,
        run,
      );
      onProgress('timing it and its source');
      const speed = await timeBoth(file, source, facts, options);
      return { detail: { ...result, speed }, tools: { python: environment.version, ...environment.packages } };
    },
  );
}
