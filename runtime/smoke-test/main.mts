import { smokeTest, type Outcome } from './smoke-test.js';

/** The time that is left for saying what came of it. */
const ANSWER_MS = 2_000;

interface LambdaContext {
  getRemainingTimeInMillis(): number;
}

/** What ECS calls once test traffic reaches the new revision. Whatever happens, it is told before the function's time is up. */
export function handler(_event: unknown, context: LambdaContext): Promise<Outcome> {
  const timeoutMs = Math.max(1, context.getRemainingTimeInMillis() - ANSWER_MS);
  return smokeTest(process.env, AbortSignal.timeout(timeoutMs), (line) => process.stdout.write(`${line}\n`));
}
