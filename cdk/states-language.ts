/** The words of Amazon States Language with JSONata that our state machines are written in. */

/** Asking again does no harm; what AWS's own retries did not get over, a few seconds may. */
export const RETRY = [{ ErrorEquals: ['States.TaskFailed'], IntervalSeconds: 2, MaxAttempts: 4, BackoffRate: 2 }];

/** The first condition that holds says where to go. */
export function choice(
  otherwise: string,
  choices: readonly (readonly [condition: string, next: string])[],
): { readonly Type: 'Choice'; readonly Choices: object[]; readonly Default: string } {
  return {
    Type: 'Choice',
    Choices: choices.map(([condition, next]) => ({ Condition: expression(condition), Next: next })),
    Default: otherwise,
  };
}

/** The end of an execution that failed. The cause is an expression. */
export function fail(error: string, cause: string): object {
  return { Type: 'Fail', Error: error, Cause: expression(cause) };
}

export function expression(jsonata: string): string {
  return `{% ${jsonata} %}`;
}

/** JSONata writes text as JSON does. */
export function quote(text: string): string {
  return JSON.stringify(text);
}
