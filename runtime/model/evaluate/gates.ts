import type { EvaluationGate } from '../../spec/evaluation-evidence';
import { ModelToolError } from '../tool-error';
import type { GateRequest } from './evaluation-report';

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
      `${metric} must be ${bound === 'min' ? 'at least' : 'at most'} ${limit}, got ${value}`,
  );
  throw new ModelToolError('GATE_FAILED', where, said.join('; '));
}
