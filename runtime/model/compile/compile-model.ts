import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import type * as Ort from 'onnxruntime-node';
import { folderOfTarget, TARGET_FILE, targetOfThisMachine, type CompiledTarget } from '../../onnx/compiled-target';
import { readEditableModel } from '../../onnx/edit/editable-model';
import { writeModel } from '../../onnx/edit/write-model';
import { readOnnxModel } from '../../onnx/read-onnx-model';
import type { ModelFacts } from '../../spec/model-facts';
import { MODEL_FILE } from '../../spec/model-repository';
import { acceptanceOf, assertAcceptable, type Acceptance } from '../compare/acceptance';
import { compareModels, type ModelComparison } from '../compare/compare-models';
import { modelSamples, type SampleOptions } from '../compare/model-samples';
import { slipwayVersion } from '../edit/slipway-version';
import { measureSpeed, type BatchSpeed } from '../measure/measure-speed';
import { onnxRuntimeVersion, openModelFile } from '../measure/open-model-file';
import { median } from '../measure/percentile';
import { toldOfOutput } from '../made-model-error';
import { writeProvenance } from '../provenance';
import { loadModel, loadRuntime } from '../run-model';
import { ModelToolError } from '../tool-error';
import { writeOutputFolder } from '../write-output';

export interface CompileOptions extends SampleOptions, Acceptance {
  /** The ONNX file, its external data beside it. It stays as it is. */
  readonly source: string;
  /** The folder to make: `model.onnx` with its weights beside it, and what was compiled for this machine. */
  readonly output: string;
  /** @default false */
  readonly overwrite?: boolean;
  /** Batch sizes to time. @default 1, 2, 4, 8, 16 and 32; where the model fixes its rows, that many */
  readonly batchSizes?: readonly number[];
  readonly onProgress?: (line: string) => void;
}

export interface CompileReport {
  /** The folder to publish. */
  readonly folder: string;
  readonly target: CompiledTarget;
  /** Folder of the target, below the other one. */
  readonly compiled: string;
  readonly portableBytes: number;
  readonly compiledBytes: number;
  /** Median milliseconds to open a session: of the source, and of what was compiled. */
  readonly openMs: { readonly source: number; readonly compiled: number };
  readonly comparison: ModelComparison;
  readonly speeds: readonly BatchSpeed[];
  /** Batch sizes that are worth having: each does at least a tenth more rows per second than the one before. */
  readonly allowedBatchSizes: readonly number[];
}

const BATCH_SIZES = [1, 2, 4, 8, 16, 32];
const OPENINGS = 3;
const WORTH = 1.1;
/** Packing reorders sums. */
const ACCEPTED: Acceptance = { tolerance: 1e-4 };

/**
 * Compiles a model for the processor of this machine: the graph optimised, the weights packed as kernels read them, in a file that is
 * mapped and shared by all sessions. The portable model lies beside it, for every other machine. The server takes the compiled one
 * where model, ONNX Runtime's version and the processor's instructions are those that it was compiled for.
 *
 * GPU targets are refused: their engines can be built on such a GPU alone, and that has not been tried.
 * @throws OnnxFileError for the source; ModelToolError OUTPUT_EXISTS, OUTPUT_UNWRITABLE, TARGET_UNKNOWN, TOLERANCE_EXCEEDED, DATA_…;
 * PublishError MODEL_NOT_LOADED or PACKAGE_MISSING
 */
export async function compileModel(options: CompileOptions): Promise<CompileReport> {
  const { source, output, onProgress = () => {} } = options;
  const { facts } = readOnnxModel(source);
  const onnxRuntime = await onnxRuntimeVersion();
  return writeOutputFolder(output, options, async (folder) => {
    const refuse = async (error: unknown): Promise<never> => {
      // Whether it is the source that cannot be loaded, or only what is to be kept of it.
      await (await openModelFile(source, facts)).close();
      throw toldOfOutput(error, folder, output);
    };
    onProgress('weights beside the model');
    const written = writeModel(readEditableModel(source), path.join(folder, MODEL_FILE), { maxFileBytes: 0 });
    const portable = readOnnxModel(written[0]!);
    const target = targetOfThisMachine({ modelSha256: portable.files[0]!.sha256, onnxRuntime });
    if (target === undefined) {
      throw new ModelToolError(
        'TARGET_UNKNOWN',
        source,
        'this system does not tell what its processor has: compile on Linux',
      );
    }
    onProgress('packing weights for this processor');
    const compiled = await packWeights(written[0]!, path.join(folder, folderOfTarget(target)), target).catch(refuse);
    onProgress('comparing it with its source');
    const comparison = await compareModels(source, compiled, facts, modelSamples(facts, options), {
      graphOptimizationLevel: 'disabled',
    }).catch(refuse);
    assertAcceptable(comparison, acceptanceOf(options, ACCEPTED, comparison), output);
    onProgress('timing it');
    const openMs = {
      source: await timeOpening(source, {}),
      compiled: await timeOpening(compiled, { graphOptimizationLevel: 'disabled' }),
    };
    const speeds = await timeBatches(compiled, facts, options);
    const report = {
      portableBytes: portable.facts.fileBytes,
      compiledBytes: await bytesBelow(path.dirname(compiled)),
      openMs,
      comparison,
      speeds,
      allowedBatchSizes: worthwhile(speeds),
    };
    await writeProvenance({
      command: 'slipway model compile',
      tools: { slipway: slipwayVersion(), onnxruntime: onnxRuntime },
      inputs: [source],
      outputs: written,
      report: { target, ...report },
    });
    return { folder: output, target, compiled: path.join(output, folderOfTarget(target)), ...report };
  });
}

/** ONNX Runtime writes what it made of the model when it loaded it. @returns the model file */
async function packWeights(portable: string, folder: string, target: CompiledTarget): Promise<string> {
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, MODEL_FILE);
  const ort = await loadRuntime();
  const session = await loadModel(ort, portable, {
    optimizedModelFilePath: file,
    graphOptimizationLevel: 'all',
    extra: {
      session: {
        optimized_model_external_initializers_file_name: `${MODEL_FILE}.data`,
        optimized_model_external_initializers_min_size_in_bytes: '1024',
        save_external_prepacked_constant_initializers: '1',
      },
    },
  });
  await session.release();
  await writeFile(path.join(folder, TARGET_FILE), `${JSON.stringify(target, undefined, 2)}\n`);
  return file;
}

async function timeOpening(file: string, options: Ort.InferenceSession.SessionOptions): Promise<number> {
  const ort = await loadRuntime();
  const times: number[] = [];
  for (let i = 0; i < OPENINGS; i++) {
    const from = performance.now();
    const session = await loadModel(ort, file, options);
    times.push(performance.now() - from);
    await session.release();
  }
  return median(times);
}

async function timeBatches(
  file: string,
  facts: Pick<ModelFacts, 'inputs' | 'outputs'>,
  options: CompileOptions,
): Promise<readonly BatchSpeed[]> {
  const model = await openModelFile(file, facts, { graphOptimizationLevel: 'disabled' });
  try {
    const { batchSizes = BATCH_SIZES } = options;
    for await (const rows of modelSamples(facts, { ...options, count: 1 })) {
      const [speeds] = await measureSpeed([{ name: 'compiled', model, rows }], { batchSizes, seconds: 1, minRuns: 5 });
      return speeds!;
    }
    return [];
  } finally {
    await model.close();
  }
}

/** The first size always; then each that is worth its wait. */
export function worthwhile(speeds: readonly Pick<BatchSpeed, 'batchSize' | 'rowsPerSecond'>[]): readonly number[] {
  const chosen: Pick<BatchSpeed, 'batchSize' | 'rowsPerSecond'>[] = [];
  for (const speed of speeds) {
    const last = chosen.at(-1);
    if (last === undefined || speed.rowsPerSecond >= last.rowsPerSecond * WORTH) chosen.push(speed);
  }
  return chosen.map(({ batchSize }) => batchSize);
}

async function bytesBelow(folder: string): Promise<number> {
  const sizes = (await readdir(folder)).map(async (name) => (await stat(path.join(folder, name))).size);
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
}
