/** How a step ended: with what it has seen, what is wrong, or why it was not taken. */
export interface Outcome {
  readonly state: 'passed' | 'failed' | 'skipped';
  /** One line. */
  readonly reason: string;
  /** Further lines below it. @default - none */
  readonly details?: readonly string[];
}

export const passed = (reason: string, details: readonly string[] = []): Outcome => ({
  state: 'passed',
  reason,
  details,
});
export const failed = (reason: string, details: readonly string[] = []): Outcome => ({
  state: 'failed',
  reason,
  details,
});

/** What a step throws, at any depth, when it cannot be taken here. */
export class SkippedStep extends Error {}

const MAX_DETAILS = 50;

/** The outcome of a step, whatever it throws: an error fails it, in its own words. */
export async function outcomeOf(step: () => Promise<Outcome>): Promise<Outcome> {
  try {
    const { state, reason, details = [] } = await step();
    const more = details.length > MAX_DETAILS ? [`… and ${details.length - MAX_DETAILS} more`] : [];
    return { state, reason, details: [...details.slice(0, MAX_DETAILS), ...more] };
  } catch (error) {
    const [reason = '', ...details] = (error as Error).message.split('\n').filter((line) => line.trim() !== '');
    const state = error instanceof SkippedStep ? 'skipped' : 'failed';
    return { state, reason: reason.replace(/:$/, ''), details: details.slice(0, MAX_DETAILS) };
  }
}
