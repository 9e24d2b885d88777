import { BINARY_CASES } from './cases/binary';
import { EXTENSION_CASES, KSERVE_CASES, TENSORFLOW_SERVING_CASES } from './cases/extensions';
import { GRPC_CASES } from './cases/grpc';
import { HEALTH_CASES, JSON_CASES, METADATA_CASES } from './cases/rest';
import { ConformanceFailure, type ConformanceCase, type Subject } from './conformance-case';

/** Every case, in the order in which they run. */
export const CONFORMANCE_CASES: readonly ConformanceCase[] = [
  ...HEALTH_CASES,
  ...METADATA_CASES,
  ...JSON_CASES,
  ...BINARY_CASES,
  ...GRPC_CASES,
  ...EXTENSION_CASES,
  ...TENSORFLOW_SERVING_CASES,
  ...KSERVE_CASES,
];

export interface CaseResult {
  readonly case: ConformanceCase;
  /** Why it failed; undefined when it passed. */
  readonly failure: string | undefined;
}

/** Runs cases one after the other, so that one that upsets a server is followed by those that show it. */
export async function runConformance(
  subject: Subject,
  cases: readonly ConformanceCase[],
  onResult: (result: CaseResult) => void = () => {},
): Promise<readonly CaseResult[]> {
  const results: CaseResult[] = [];
  for (const each of cases) {
    const failure = await each.run(subject).then(
      () => undefined,
      (error: Error) => (error instanceof ConformanceFailure ? error.message : `${error.name}: ${error.message}`),
    );
    const result = { case: each, failure };
    results.push(result);
    onResult(result);
  }
  return results;
}
