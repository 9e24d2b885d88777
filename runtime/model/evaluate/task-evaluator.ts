import type { LabelKind } from '../data/dataset';
import type { Tensor } from '../../onnx/tensor-encoding';
import type { Calibration } from './metrics/calibration';
import type { ClassResult, ConfusionCell } from './metrics/classification';
import type { DetectionClassResult } from './metrics/detection';

/** What a model is for, and with it what is counted. */
export const EVALUATION_TASKS = [
  'classification',
  'multilabel',
  'regression',
  'detection',
  'embedding',
  'similarity',
] as const;
export type EvaluationTask = (typeof EVALUATION_TASKS)[number];

/** What rows must be labelled with, for each task. */
export const LABELS_OF_TASK = {
  classification: 'class',
  multilabel: 'classes',
  regression: 'numbers',
  detection: 'boxes',
  embedding: 'class',
  similarity: 'numbers',
} as const satisfies Readonly<Record<EvaluationTask, LabelKind>>;

/** The one metric of a task by which models are compared, larger being better. */
export const MAIN_METRIC = {
  classification: 'accuracy',
  multilabel: 'accuracy',
  regression: 'r2',
  detection: 'map',
  embedding: 'recallAt1',
  similarity: 'spearman',
} as const satisfies Readonly<Record<EvaluationTask, string>>;

/** Every metric that a task may give, by name: which of them are defined is up to the data. */
export const METRICS_OF_TASK = {
  classification: [
    'accuracy',
    'top<k>Accuracy',
    'precisionMacro',
    'recallMacro',
    'f1Macro',
    'logLoss',
    'expectedCalibrationError',
  ],
  multilabel: [
    'accuracy',
    'hammingLoss',
    'precisionMicro',
    'recallMicro',
    'f1Micro',
    'precisionMacro',
    'recallMacro',
    'f1Macro',
  ],
  regression: ['meanAbsoluteError', 'rootMeanSquareError', 'maxError', 'r2'],
  detection: ['map', 'map50', 'map75', 'averageRecall'],
  embedding: ['recallAt<k>', 'meanReciprocalRank', 'queries'],
  similarity: ['spearman', 'pairs'],
} as const satisfies Readonly<Record<EvaluationTask, readonly string[]>>;

/** How scores are meant: as shares that add up to 1 (for several classes at once, each from 0 to 1), or before softmax or sigmoid. */
export type ScoreKind = 'probabilities' | 'logits';

/** What came of one model. Shares are from 0 to 1. */
export interface TaskResult {
  readonly rows: number;
  /** By name; one that is not defined for the data is not there. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly classes?: readonly ClassResult[];
  readonly boxes?: readonly DetectionClassResult[];
  readonly confusion?: readonly ConfusionCell[];
  readonly calibration?: Calibration;
  /** How the scores were read. @default - there were none */
  readonly scores?: ScoreKind;
  /** The output that was read. */
  readonly output: string;
}

/** Counts what one model says, batch by batch. */
export interface TaskEvaluator<L> {
  /** @throws ModelToolError OUTPUT_UNFIT for outputs that the task cannot be read from */
  add(labels: readonly L[], outputs: readonly Tensor[]): void;
  result(): TaskResult;
  /** What the model said of each row, for tasks where two models can say the same: compared by ===. */
  readonly answers: readonly unknown[] | undefined;
}

/** Metrics that are numbers; the rest is left out, for JSON has no NaN. */
export function definedMetrics(
  metrics: Readonly<Record<string, number | undefined>>,
): Readonly<Record<string, number>> {
  const defined = Object.entries(metrics).filter((entry): entry is [string, number] => Number.isFinite(entry[1]));
  return Object.fromEntries(defined);
}
