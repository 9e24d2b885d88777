import type { SpeedGain } from '../model/optimize/time-both';

/** How fast both were, in one line that does not claim more than was seen. */
export function speedLine({ beforeMs, afterMs, ratio, isSure }: SpeedGain): string {
  const word = ratio >= 1 ? `${ratio.toFixed(2)} times as fast` : `${(1 / ratio).toFixed(2)} times slower`;
  const sure = isSure ? '' : '; rounds disagree about which one is faster, so this machine cannot tell';
  return `speed on this machine, one row: ${beforeMs.toFixed(2)} ms → ${afterMs.toFixed(2)} ms, ${word}${sure}`;
}
