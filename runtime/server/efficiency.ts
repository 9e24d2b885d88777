/** What is older than a few of these hardly counts. */
const MEMORY_SECONDS = 60;
const DECAY_STEP_MS = 1_000;

/**
 * How much of the time in which a model's executors had work they spent inside the runtime: time in Run ÷ time in which
 * runs could have gone on. 1 means that the server adds nothing; what is missing went into joining, handing over, waking up
 * and taking answers apart. It forgets: the last minute counts most. All times are milliseconds on one clock.
 */
export class EfficiencyMeter {
  private inRunMs = 0;
  private possibleMs = 0;
  private possible = 0;
  private changedAt = 0;
  private decayedAt = 0;
  private running = 0;
  /** Sum of the times at which the current runs began. */
  private begunAt = 0;

  constructor(private readonly executors: number) {}

  /**
   * Call when a batch begins or ends, and when requests arrive in an empty queue.
   * @param running Batches that are handed to executors. @param waiting Batches that the queue would make.
   */
  changed(nowMs: number, running: number, waiting: number): void {
    this.advance(nowMs);
    this.possible = Math.min(this.executors, running + waiting);
  }

  began(nowMs: number): void {
    this.running += 1;
    this.begunAt += nowMs;
  }

  /** @param runSeconds Time inside the runtime, as the executor measured it; 0 for a run that failed. */
  ended(begunAtMs: number, runSeconds: number): void {
    this.running -= 1;
    this.begunAt -= begunAtMs;
    this.inRunMs += runSeconds * 1_000;
  }

  /** From 0 to 1; undefined before there was any work. */
  ratio(nowMs: number): number | undefined {
    this.advance(nowMs);
    // A run that still goes on is taken for time in Run: it cannot be said yet what of it is not.
    const inRunMs = this.inRunMs + Math.max(0, this.running * nowMs - this.begunAt);
    return this.possibleMs === 0 ? undefined : Math.min(1, inRunMs / this.possibleMs);
  }

  private advance(nowMs: number): void {
    this.possibleMs += this.possible * (nowMs - this.changedAt);
    this.changedAt = nowMs;
    const sinceMs = nowMs - this.decayedAt;
    if (sinceMs < DECAY_STEP_MS) return;
    const kept = Math.exp(-sinceMs / (MEMORY_SECONDS * 1_000));
    this.possibleMs *= kept;
    this.inRunMs *= kept;
    this.decayedAt = nowMs;
  }
}
