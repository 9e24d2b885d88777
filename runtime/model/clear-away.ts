const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** What there is to clear away when this process is asked to end, in the order in which it was begun. */
const pending = new Set<() => void>();

/**
 * Has something done when this process ends, or is asked to end by a signal, before what was begun after it is left behind: a child that
 * would go on, a folder that is half full. The last that was begun goes first.
 * @param clear must not wait for anything
 * @returns takes it back, when the work is done
 */
export function clearAwayAtEnd(clear: () => void): () => void {
  if (pending.size === 0) {
    for (const signal of SIGNALS) process.on(signal, endBySignal);
    process.on('exit', clearAll);
  }
  pending.add(clear);
  return () => {
    if (!pending.delete(clear) || pending.size > 0) return;
    for (const signal of SIGNALS) process.off(signal, endBySignal);
    process.off('exit', clearAll);
  };
}

function clearAll(): void {
  for (const clear of [...pending].reverse()) {
    try {
      clear();
    } catch {
      // What cannot be cleared away stays; the rest need not.
    }
  }
}

/** Ends the process as the signal would have, unless somebody else in it listens, who then decides. */
function endBySignal(signal: NodeJS.Signals): void {
  clearAll();
  for (const each of SIGNALS) process.off(each, endBySignal);
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}
