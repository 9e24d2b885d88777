import type { FileDigest } from '../../spec/evaluation-evidence';
import type { EvaluationTask } from '../evaluate/task-evaluator';
import type { BatchSpeed, SpeedRatio } from '../measure/measure-speed';
import type { RecipeStep } from './recipe';

/** What the chosen model must be. What is not given is not asked. */
export interface SearchConstraints {
  /** How much of the task's main metric may be lost, from 0 to 1. */
  readonly maxDrop?: number;
  /** Largest median time of a run with the smallest batch that is timed. */
  readonly maxLatencyMs?: number;
  /** Largest size of all files of the model. */
  readonly maxBytes?: number;
}

/** By what the best is chosen of those that are what they must be. */
export const PREFERENCES = ['latency', 'size', 'accuracy'] as const;
export type SearchPreference = (typeof PREFERENCES)[number];

/** What is known of a model that ran. */
export interface CandidateNumbers {
  /** The main metric of the task, from 0 to 1 where it is a share. */
  readonly accuracy: number;
  /** The source's − this one's. */
  readonly drop: number;
  readonly fileBytes: number;
  /** (source − candidate) ÷ source × 100, of the bytes. */
  readonly compressionPercent: number;
  /** With the smallest batch that was timed. */
  readonly speed: BatchSpeed;
  /** How much faster than the source it is, round by round. @default - it is the source */
  readonly against?: SpeedRatio;
}

/** A row of the table: the source, or what a recipe came to. */
export interface SearchRow {
  readonly name: string;
  readonly steps: readonly RecipeStep[];
  /** `failed` and `left out` have a reason, and no numbers. */
  readonly state: 'source' | 'tried' | 'failed' | 'left out';
  readonly reason?: string;
  /** Whether a search before this one made it, so that it only had to be timed. */
  readonly reused: boolean;
  /** The model's file, relative to the folder of the search; the source is where it was. */
  readonly file?: string;
  readonly numbers?: CandidateNumbers;
  /** Whether no other model is at least as accurate, as fast and as small, and better in one of them. */
  readonly onFront: boolean;
  /** Constraints that it misses, each as a sentence. */
  readonly misses: readonly string[];
}

/** Everything that a search showed. */
export interface SearchReport {
  readonly source: { readonly name: string; readonly files: readonly FileDigest[] };
  readonly dataset: { readonly name: string; readonly sha256: string; readonly rows: number };
  /** Rows on which ranges of values were found: a data set of its own, or the one that models are judged by. */
  readonly calibration: { readonly name: string; readonly isDataset: boolean };
  readonly task: EvaluationTask;
  /** The metric that is called accuracy here. */
  readonly mainMetric: string;
  readonly constraints: SearchConstraints;
  readonly prefer: SearchPreference;
  /** The source first, then recipes in their order. */
  readonly rows: readonly SearchRow[];
  /** Name of the row that was chosen. @default - nothing was asked for, or no model is what it must be */
  readonly chosen?: string;
  /** Its files, relative to the folder of the search: the model first, then its history and its evaluation. */
  readonly chosenFiles?: readonly string[];
  /** Name of the row that misses constraints by least, where all of them miss one. */
  readonly nearest?: string;
  /** Instructions of this machine for 8-bit products; undefined where it does not tell. */
  readonly int8Instructions?: readonly string[];
  readonly tools: Readonly<Record<string, string>>;
  /** ISO 8601, in UTC. */
  readonly searchedAt: string;
}
