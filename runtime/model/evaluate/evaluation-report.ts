import type { EvaluationEvidence, EvaluationGate, FileDigest } from '../../spec/evaluation-evidence';
import type { BatchSpeed, SpeedRatio } from '../measure/measure-speed';
import type { EvaluationTask, TaskResult } from './task-evaluator';

/** What is asked of a metric. */
export type GateRequest = Pick<EvaluationGate, 'metric' | 'bound' | 'limit'>;

/** One model's row of the table. */
export interface ModelEvaluation {
  readonly name: string;
  /** Bytes of all its files. @default - it runs elsewhere */
  readonly fileBytes?: number;
  readonly result: TaskResult;
  /** By ascending batch size. @default - it was not measured */
  readonly speed?: readonly BatchSpeed[];
  /** Main metric in % ÷ median milliseconds of the smallest batch. */
  readonly accuracyPerSpeed?: number;
  /** Beside the reference, the first of the models that were compared. @default - it is the reference, or there is none */
  readonly against?: {
    /** The reference's main metric − this one's. */
    readonly drop?: number;
    /** Share of rows of which both say the same. */
    readonly agreement?: number;
    /** (original − compressed) ÷ original × 100, the reference being the original. */
    readonly compressionPercent?: number;
    readonly speed: readonly SpeedRatio[];
  };
}

/**
 * Everything that an evaluation showed: the fields of the evidence for a manifest, where the model was a file, and with them what
 * people and other programs look at.
 */
export interface EvaluationReport extends Omit<EvaluationEvidence, 'model'> {
  readonly task: EvaluationTask;
  /** Digests of what was evaluated. @default - a running endpoint, of which nobody here knows the files */
  readonly model?: readonly FileDigest[];
  /** The metric by which models are compared. */
  readonly mainMetric: string;
  /** Names of classes, by index. @default - they have numbers */
  readonly classNames?: readonly string[];
  /** The model first, then those that it was compared with. */
  readonly models: readonly ModelEvaluation[];
  /** How the numbers that are not in every textbook are computed. */
  readonly formulas: Readonly<Record<string, string>>;
}

export const FORMULAS: Readonly<Record<string, string>> = {
  accuracy: 'correct ÷ total × 100 %',
  accuracyPerSpeed: 'main metric in % ÷ median milliseconds of the smallest batch',
  compression: '(original − compressed) ÷ original × 100',
  drop: "the reference's main metric − the model's",
  agreement: 'rows of which both models say the same ÷ total × 100 %',
  rowsPerSecond: 'batch size ÷ median seconds of a run',
  spread: '(slowest − fastest median of a round) ÷ median',
};

/** The evidence for a manifest; undefined where an endpoint was asked, whose files nobody has seen. */
export function evidenceOf(report: EvaluationReport): EvaluationEvidence | undefined {
  const { model, dataset, preprocessing, task, metrics, speed, gates, passed, evaluatedAt, tools } = report;
  if (model === undefined) return undefined;
  return {
    model,
    dataset,
    ...(preprocessing === undefined ? {} : { preprocessing }),
    task,
    metrics,
    ...(speed === undefined ? {} : { speed }),
    gates,
    passed,
    evaluatedAt,
    tools,
  };
}
