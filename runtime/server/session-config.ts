import type { ExecutorOptions } from './executor';

/** Session configuration entries, for both kinds of executor. */
export function sessionConfig({ tuning = {} }: ExecutorOptions): Readonly<Record<string, string>> {
  return {
    // Spinning threads take the CPU quota of the HTTP thread and of other models while they wait.
    'session.intra_op.allow_spinning': '0',
    ...(tuning.disablePrepacking === true ? { 'session.disable_prepacking': '1' } : {}),
    ...tuning.sessionConfig,
  };
}
