import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { EditOptions, EditReport } from '../edit/edit-model';
import { runPython } from '../python/run-python';
import { ModelToolError } from '../tool-error';
import { writeCalibrationBatches } from './calibration-batches';
import { rewriteModel } from './rewrite-model';
import { timeBoth, type SpeedGain } from './time-both';
import { int8Instructions } from './vector-instructions';

export const CALIBRATION_METHODS = ['min-max', 'entropy', 'percentile'] as const;
export type CalibrationMethod = (typeof CALIBRATION_METHODS)[number];

export interface QuantizeOptions extends EditOptions {
  /**
   * `static`: weights and values in between are 8-bit numbers, with ranges found on calibration data; for convolutions.
   * `dynamic`: weights are, and ranges of values are found in each run; for transformers and recurrent networks.
   * @default 'static'
   */
  readonly mode?: 'static' | 'dynamic';
  /** Rows as users send them, for `static`: `.npz`, `.csv`, `.jsonl` or a folder of pictures. */
  readonly calibration?: string;
  /** Most rows of it. @default 128 */
  readonly calibrationRows?: number;
  /** How a range is found from the values that were seen. @default 'min-max' */
  readonly method?: CalibrationMethod;
  /** For `percentile`: which share of the values lies in the range, in per cent. @default 99.999 */
  readonly percentile?: number;
  /** A scale for each channel of a weight, instead of one for all. @default true */
  readonly perChannel?: boolean;
  /** 7 instead of 8 bits for weights: exact on processors with AVX2 or AVX-512 but without VNNI. @default false */
  readonly reduceRange?: boolean;
  /** Nodes that stay as they are, by name. @default - none */
  readonly exclude?: readonly string[];
  /**
   * How many nodes stay as they are because the outputs move most when they alone are quantized; `auto` leaves out as few as it
   * takes to be accepted. Measured, so it takes as many quantizations as there are nodes; for `static`. @default 0
   */
  readonly excludeMost?: number | 'auto';
  /** An interpreter with onnx and onnxruntime. @default - see `pythonFor` */
  readonly python?: string | undefined;
  readonly signal?: AbortSignal;
}

/** How far outputs move when one node alone is quantized: root mean square, as a share of that of the outputs. */
export interface NodeSensitivity {
  readonly node: string;
  readonly change: number;
}

export interface QuantizeDetail {
  readonly mode: 'static' | 'dynamic';
  readonly calibrationRows: number;
  /** Nodes that were left as they are. */
  readonly excluded: readonly string[];
  /** Most sensitive first; empty where nobody asked. */
  readonly sensitivity: readonly NodeSensitivity[];
  /** Nodes of the new model, by operator. */
  readonly nodes: Readonly<Record<string, number>>;
  /** (8-bit model ÷ source) of the bytes. */
  readonly sizeRatio: number;
  readonly speed: SpeedGain;
  /** Instructions of this machine for 8-bit products; undefined where it does not tell. */
  readonly int8Instructions: readonly string[] | undefined;
}

interface Answer {
  readonly excluded: readonly string[];
  readonly sensitivity: readonly NodeSensitivity[];
  readonly nodes: Readonly<Record<string, number>>;
}

const CALIBRATION_ROWS = 128;
const SENSITIVITY_BATCHES = 2;
/** With `auto`, after none. */
const TRIED_EXCLUSIONS = [0, 1, 2, 4, 8, 16];
/** A classifier keeps its class on nearly all rows; another model its largest element within a tenth. */
const ACCEPTED = { minAgreement: 0.98, tolerance: 0.1 };

/**
 * Quantizes a model to 8 bits with ONNX Runtime's own quantizer (QDQ; signed values and weights, which its guide recommends
 * first), compares it with its source on samples, and times both on this machine.
 * @throws as `editModel`; ModelToolError CALIBRATION_MISSING, OPTION_INVALID, LAYER_UNKNOWN, QUANTIZATION_FAILED, PYTHON_…
 */
export async function quantizeModel(options: QuantizeOptions): Promise<EditReport<QuantizeDetail>> {
  assertOptions(options);
  const { mode = 'static', calibration, onProgress = () => {} } = options;
  const scratch = await mkdtemp(path.join(tmpdir(), 'slipway-quantize-'));
  // What it is judged on is what it was calibrated on, unless somebody gives other rows.
  const judged = { ...(calibration === undefined ? {} : { samples: calibration }), ...options };
  const most = options.excludeMost ?? 0;
  const tries = most === 'auto' ? TRIED_EXCLUSIONS : [most];
  try {
    for (const [i, excluded] of tries.entries()) {
      try {
        const report = await rewriteModel(judged, commandOf(options), ACCEPTED, async (file, facts) => {
          const data =
            calibration === undefined || mode === 'dynamic'
              ? { batches: 0, rows: 0 }
              : await writeCalibrationBatches(
                  calibration,
                  facts,
                  options.calibrationRows ?? CALIBRATION_ROWS,
                  scratch,
                  options.preprocessing,
                );
          const request = requestOf(
            options,
            file,
            scratch,
            facts.inputs.map(({ name }) => name),
            data.batches,
            excluded,
          );
          const run = { python: options.python, progress: onProgress, signal: options.signal };
          const { result, environment } = await runPython<Answer>('onnx', 'quantize_model', request, run);
          onProgress('timing it and its source');
          const speed = await timeBoth(file, options.source, facts, judged);
          const detail: QuantizeDetail = {
            mode,
            calibrationRows: data.rows,
            ...result,
            sizeRatio: 0,
            speed,
            int8Instructions: int8Instructions(),
          };
          const inputs = calibration === undefined ? [] : [calibration];
          return { detail, tools: { python: environment.version, ...environment.packages }, inputs };
        });
        return { ...report, detail: { ...report.detail, sizeRatio: report.after.bytes / report.before.bytes } };
      } catch (error) {
        const isTooFar = ModelToolError.is(error) && error.code === 'TOLERANCE_EXCEEDED';
        if (!isTooFar || i === tries.length - 1) throw error;
        onProgress(`too far from its source with ${excluded} nodes left out`);
      }
    }
    throw new Error('at least one number of exclusions is tried');
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function assertOptions(options: QuantizeOptions): void {
  const { mode = 'static', calibration, excludeMost = 0, percentile = 50, source } = options;
  if (mode === 'static' && calibration === undefined) {
    throw new ModelToolError(
      'CALIBRATION_MISSING',
      source,
      'ranges of values are found on rows as users send them: give --calibration (.npz, .csv, .jsonl or a folder of pictures), or --mode dynamic',
    );
  }
  if (mode === 'dynamic' && excludeMost !== 0) {
    throw new ModelToolError(
      'OPTION_INVALID',
      '--exclude-most',
      'is measured for --mode static; name nodes with --exclude',
    );
  }
  if (mode === 'dynamic') assertNoneIsGiven(options, ['method', 'percentile', 'calibrationRows', 'reduceRange']);
  if (options.method !== 'percentile' && options.percentile !== undefined) {
    throw new ModelToolError('OPTION_INVALID', '--percentile', 'is for --method percentile: give that, too');
  }
  const rows = options.calibrationRows ?? CALIBRATION_ROWS;
  if (!(Number.isInteger(rows) && rows > 0)) {
    throw new ModelToolError('OPTION_INVALID', '--calibration-rows', `must be a whole number from 1 up, got ${rows}`);
  }
  if (excludeMost !== 'auto' && !(Number.isInteger(excludeMost) && excludeMost >= 0)) {
    throw new ModelToolError('OPTION_INVALID', '--exclude-most', `must be auto or a whole number, got ${excludeMost}`);
  }
  if (!(percentile > 0 && percentile <= 100)) {
    throw new ModelToolError('OPTION_INVALID', '--percentile', `must be above 0 and at most 100, got ${percentile}`);
  }
}

/** What would be passed over is refused: somebody believes that it did something. */
function assertNoneIsGiven(
  options: QuantizeOptions,
  names: readonly ('method' | 'percentile' | 'calibrationRows' | 'reduceRange')[],
): void {
  const given = names.find((name) => options[name] !== undefined && options[name] !== false);
  if (given === undefined) return;
  const flag = `--${given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new ModelToolError('OPTION_INVALID', flag, 'is for --mode static: dynamic finds ranges in each run');
}

function requestOf(
  options: QuantizeOptions,
  file: string,
  calibration: string,
  inputs: readonly string[],
  batches: number,
  excludeMost: number,
): object {
  return {
    model: path.resolve(options.source),
    output: file,
    mode: options.mode ?? 'static',
    calibration,
    inputs,
    batches,
    method: options.method ?? 'min-max',
    percentile: options.percentile ?? 99.999,
    perChannel: options.perChannel ?? true,
    reduceRange: options.reduceRange ?? false,
    exclude: options.exclude ?? [],
    sensitivity: options.excludeMost !== undefined && options.excludeMost !== 0,
    sensitivityBatches: SENSITIVITY_BATCHES,
    excludeMost,
  };
}

/** As somebody would type it, with the files' names alone. */
function commandOf({ mode = 'static', method, calibration, exclude = [], excludeMost }: QuantizeOptions): string {
  const words = ['slipway model quantize', `--mode ${mode}`];
  if (calibration !== undefined) words.push(`--calibration ${path.basename(calibration)}`);
  if (method !== undefined) words.push(`--method ${method}`);
  for (const node of exclude) words.push(`--exclude ${node}`);
  if (excludeMost !== undefined) words.push(`--exclude-most ${excludeMost}`);
  return words.join(' ');
}
