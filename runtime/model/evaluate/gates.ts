import type { EvaluationGate } from '../../spec/evaluation-evidence';
import { ModelToolError } from '../tool-error';
import type { GateRequest } from './evaluation-report';
import { METRICS_OF_TASK, type EvaluationTask } from './task-evaluator';

/** What speed has numbers for. */
const TIMED = ['p50Ms', 'p90Ms', 'p99Ms', 'rowsPerSecond', 'batchSize', 'accuracyPerSpeed'];

/** Whether a metric is known only when models were timed. */
export function isTimed(metric: string): boolean {
  return TIMED.includes(metric);
}

/** What is known of an evaluation before anything is asked. */
export interface Foreseen {
  readonly task: EvaluationTask;
  readonly isTimed: boolean;
  readonly isCompared: boolean;
  /** Whether the model is a file here. */
  readonly hasFile: boolean;
}

/**
 * Refuses gates on numbers that an evaluation cannot give: a mistyped name should not cost the time of all rows.
 * @throws ModelToolError GATE_UNKNOWN
 */
export function assertForeseen(gates: readonly GateRequest[], { task, isTimed, isCompared, hasFile }: Foreseen): void {
  for (const { metric } of gates) {
    const refuse = (message: string): ModelToolError => new ModelToolError('GATE_UNKNOWN', metric, message);
    const needsComparison = COMPARED.includes(metric);
    if (TIMED.includes(metric) && !isTimed) throw refuse('needs speed, which is not to be measured');
    if (needsComparison && !isCompared) throw refuse('needs a model to compare with: give --compare');
    if (metric === 'fileBytes' && !hasFile) throw refuse('needs a file, and an endpoint shows none');
    if (TIMED.includes(metric) || needsComparison || metric === 'fileBytes') continue;
    if (METRICS_OF_TASK[task].some((name) => isNamed(metric, name))) continue;
    const known = [...METRICS_OF_TASK[task], ...(hasFile ? ['fileBytes'] : []), ...(isCompared ? COMPARED : [])];
    throw refuse(`must be a number that this evaluation gives (${[...known, ...(isTimed ? TIMED : [])].join(', ')})`);
  }
}

const COMPARED = ['drop', 'agreement', 'compressionPercent'];

/** `top<k>Accuracy` stands for any k. */
function isNamed(metric: string, name: string): boolean {
  const [before, after] = name.split('<k>');
  if (after === undefined) return metric === name;
  return (
    metric.startsWith(before!) &&
    metric.endsWith(after) &&
    /^\d+$/.test(metric.slice(before!.length, metric.length - after.length))
  );
}

/**
 * Holds numbers to limits.
 * @throws ModelToolError GATE_UNKNOWN for a metric that there is not: a gate that looks at nothing must not be passed
 */
export function holdToGates(
  gates: readonly GateRequest[],
  values: Readonly<Record<string, number>>,
): readonly EvaluationGate[] {
  return gates.map(({ metric, bound, limit }) => {
    const value = Object.hasOwn(values, metric) ? values[metric] : undefined;
    if (value === undefined) {
      const known = Object.keys(values).join(', ');
      throw new ModelToolError('GATE_UNKNOWN', metric, `must be a number that this evaluation gives (${known})`);
    }
    return { metric, bound, limit, value, passed: bound === 'min' ? value >= limit : value <= limit };
  });
}

/** Says of each gate that said no by how much. @throws ModelToolError GATE_FAILED */
export function assertGatesPassed(gates: readonly EvaluationGate[], where: string): void {
  const failed = gates.filter(({ passed }) => !passed);
  if (failed.length === 0) return;
  const said = failed.map(
    ({ metric, bound, limit, value }) =>
      `${metric} must be ${bound === 'min' ? 'at least' : 'at most'} ${limit}, got ${readable(value, limit)}`,
  );
  throw new ModelToolError('GATE_FAILED', where, said.join('; '));
}

/** Without what binary fractions leave behind, and with as many digits as tell it from the limit. */
function readable(value: number, limit: number): number {
  if (Number.isInteger(value)) return value;
  for (let digits = 6; digits < 17; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (rounded !== limit) return rounded;
  }
  return value;
}
