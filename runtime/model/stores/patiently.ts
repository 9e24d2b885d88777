import { setTimeout as wait } from 'node:timers/promises';

const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 200;

/** Does again what failed for a reason that may pass: five times, over about six seconds, each pause of its own length. */
export async function patiently<T>(act: () => Promise<T>, isWorthAnother: (error: unknown) => boolean): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act();
    } catch (error) {
      if (attempt === ATTEMPTS || !isWorthAnother(error)) throw error;
      await wait(FIRST_PAUSE_MS * 2 ** attempt * (0.5 + Math.random() / 2));
    }
  }
}
