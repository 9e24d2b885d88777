import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { describeDifference } from '../onnx/tensor-comparison';
import { decodeTensorData, type Tensor } from '../onnx/tensor-encoding';
import type { Datatype } from '../spec/datatypes';
import { isBatchable, type TensorSignature } from '../spec/model-facts';
import type { GoldenInput, GoldenOutput, GoldenProof, Tolerance } from '../spec/model-manifest';
import { joinRows } from './batch';
import type { FetchedModel } from './fetch-model';
import { ModelError } from './model-error';
import { generateInput, SampleInput } from './sample-input';
import type { WarmedExecutor } from './warm-up-runs';

/** What warm-up found out about a model. */
export interface ModelProof {
  /** Whether dimension 0 counts independent rows, so that requests may share a run. */
  readonly takesRows: boolean;
  /** Why it does not, where running it showed that. */
  readonly reason?: string;
  /** Measured after the first runs, which are slower; undefined when warm-up could not run the model. */
  readonly cost?: { readonly oneRowSeconds: number; readonly rows: number; readonly allRowsSeconds: number };
  /** An input that the model runs; undefined when none was found. */
  readonly sample?: SampleInput;
}

/**
 * Runs a model before anybody is served: its golden proof, then warm-up with one row and with batches. A model that takes
 * rows is also asked whether a row comes out the same alone and beside another one.
 * @param batchSizes Rows of the batches that are run, ascending: every size that is allowed, or the largest one.
 * @throws ModelError when the golden proof fails, or a run does not return. A generated input that the model cannot run is a warning.
 */
export async function proveModel(
  executor: WarmedExecutor,
  model: FetchedModel,
  batchSizes: readonly number[],
  log: Logger,
): Promise<ModelProof> {
  const golden = model.manifest?.golden;
  const goldenInputs = golden === undefined ? undefined : await readTensors(golden.inputs, model.folder);
  if (golden !== undefined) await proveGolden(executor, golden, goldenInputs!, model.folder);
  const samples =
    goldenInputs === undefined
      ? [generateInput(executor.inputs, 2), generateInput(executor.inputs, 2, true)]
      : [new SampleInput(goldenInputs)];
  if (!isBatchable(executor)) return warmUpWhole(executor, samples, log);
  for (const sample of samples) {
    try {
      return await warmUpRows(executor, sample, batchSizes, log);
    } catch (error) {
      if (error instanceof ModelError) throw error;
      log.warn({ reason: (error as Error).message }, 'the model does not run on this warm-up input');
    }
  }
  log.warn('no warm-up input runs, so requests are not joined into batches; publish the model with a golden input');
  return { takesRows: false, reason: 'no generated input runs; publish the model with a golden input' };
}

/**
 * Runs on one more executor what live traffic will run on it. What another executor of the model has proven need not be
 * proven again: they have the same file.
 */
export async function warmUp(
  executor: WarmedExecutor,
  { takesRows, sample }: ModelProof,
  batchSizes: readonly number[],
): Promise<void> {
  if (sample === undefined) return;
  if (!takesRows) {
    await executor.run(sample.whole());
    return;
  }
  for (const size of new Set([1, ...batchSizes])) await executor.run(sample.rows(batchOf(size)));
}

async function proveGolden(
  executor: WarmedExecutor,
  golden: GoldenProof,
  inputs: readonly Tensor[],
  folder: string,
): Promise<void> {
  const expected = await readTensors(golden.outputs, folder);
  const { outputs } = await executor.run(new SampleInput(inputs).whole()).catch((error: Error) => {
    if (error instanceof ModelError) throw error;
    throw new ModelError(`golden proof failed: the model does not run on its golden input: ${error.message}`);
  });
  golden.outputs.forEach((output, i) => {
    const got = outputs.find(({ name }) => name === output.name);
    const difference =
      got === undefined
        ? `the model has no such output, it has ${outputs.map(({ name }) => name).join(', ')}`
        : compare(output, expected[i]!, got);
    if (difference !== undefined) throw new ModelError(`golden proof failed: output '${output.name}': ${difference}`);
  });
}

async function readTensors(tensors: readonly GoldenInput[], folder: string): Promise<readonly Tensor[]> {
  return Promise.all(
    tensors.map(async ({ name, datatype, shape, path: file }) => {
      try {
        return {
          name,
          datatype,
          shape,
          data: decodeTensorData(datatype, shape, await readFile(path.join(folder, file))),
        };
      } catch (error) {
        throw new ModelError(`golden file '${file}' cannot be read: ${(error as Error).message}`);
      }
    }),
  );
}

function compare(
  output: Pick<GoldenOutput, 'datatype' | 'shape' | 'tolerance'>,
  expected: Tensor,
  got: Tensor,
): string | undefined {
  if (got.datatype !== expected.datatype) return `datatype ${got.datatype}, expected ${expected.datatype}`;
  if (got.shape.join() !== expected.shape.join()) {
    return `shape [${got.shape.join(', ')}], expected [${expected.shape.join(', ')}]`;
  }
  return describeDifference(output, expected.data, got.data);
}

async function warmUpWhole(
  executor: WarmedExecutor,
  samples: readonly SampleInput[],
  log: Logger,
): Promise<ModelProof> {
  for (const sample of samples) {
    try {
      await executor.run(sample.whole());
      const { seconds } = await executor.run(sample.whole());
      return { takesRows: false, cost: { oneRowSeconds: seconds, rows: 1, allRowsSeconds: seconds }, sample };
    } catch (error) {
      if (error instanceof ModelError) throw error;
      log.warn({ reason: (error as Error).message }, 'the model does not run on this warm-up input');
    }
  }
  return { takesRows: false };
}

async function warmUpRows(
  executor: WarmedExecutor,
  sample: SampleInput,
  batchSizes: readonly number[],
  log: Logger,
): Promise<ModelProof> {
  const run = (rows: readonly number[]): ReturnType<WarmedExecutor['run']> => executor.run(sample.rows(rows));
  const alone = await run([0]);
  const oneRowSeconds = Math.min((await run([0])).seconds, (await run([0])).seconds);
  const cost = { oneRowSeconds, rows: 1, allRowsSeconds: oneRowSeconds };
  const difference = findDifference(
    executor.outputs,
    [alone.outputs, (await run([1])).outputs],
    (await run([0, 1])).outputs,
  );
  if (difference !== undefined) {
    log.warn({ reason: difference }, 'a row comes out differently beside another one, so requests are not joined');
    return { takesRows: false, reason: `a row comes out differently beside another one: ${difference}`, cost, sample };
  }
  for (const size of batchSizes) await run(batchOf(size));
  const rows = batchSizes.at(-1) ?? 1;
  const { seconds } = await run(batchOf(rows));
  return { takesRows: true, cost: { oneRowSeconds, rows, allRowsSeconds: seconds }, sample };
}

function batchOf(size: number): readonly number[] {
  return Array.from({ length: size }, (_, i) => i);
}

/** How the rows of a shared run differ from the same rows run alone. */
function findDifference(
  signatures: readonly TensorSignature[],
  alone: readonly (readonly Tensor[])[],
  together: readonly Tensor[],
): string | undefined {
  for (const [i, { name, datatype }] of signatures.entries()) {
    const shared = together[i]!;
    const rows = alone.map((outputs) => outputs[i]!);
    if (shared.shape[0] !== rows.length || rows.some(({ shape }) => shape[0] !== 1)) {
      return `output '${name}' has ${shared.shape[0]} rows for an input of ${rows.length}`;
    }
    if (rows.some(({ shape }) => shape.slice(1).join() !== shared.shape.slice(1).join())) {
      return `output '${name}' changes its shape with the number of rows`;
    }
    const tolerance: Tolerance = ROW_TOLERANCES[datatype] ?? { kind: 'exact' };
    const difference = compare({ datatype, shape: shared.shape, tolerance }, joinRows(rows), shared);
    if (difference !== undefined) return `output '${name}': ${difference}`;
  }
  return undefined;
}

/** Kernels may round differently by batch size; a model that mixes rows is off by far more. */
const ROW_TOLERANCES: Partial<Record<Datatype, Tolerance>> = {
  FP16: { kind: 'elementwise', absolute: 1e-2, relative: 1e-2 },
  FP32: { kind: 'elementwise', absolute: 1e-4, relative: 1e-3 },
  FP64: { kind: 'elementwise', absolute: 1e-6, relative: 1e-6 },
};
