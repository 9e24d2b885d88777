import type { Servable } from '../servable';

/** What is kept of a model version: what requests need, and what health, saturation and reloading look at. */
export interface RegisteredModel extends Servable {
  /** Rows that valid requests brought so far. */
  readonly arrivedRows: number;
  readonly queuedRows: number;
  /** Seconds that one row takes in the largest allowed batch. */
  readonly secondsPerRow: number;
  /** How many run it side by side; 1 for what is not run. */
  readonly executors: number;
  readonly longestRunSeconds: number;
  /** Share of the time with work that was spent inside the runtime; undefined before there was any. */
  readonly efficiency?: number | undefined;
  /** Whether nothing of it is being opened, queued or run. */
  readonly isIdle: boolean;
  /** Ends its executors, waiting for their runs. */
  close(): Promise<void>;
}

/** A model version in the hands of one request: it is not closed before every lease is released. */
export interface Lease {
  readonly model: RegisteredModel;
  /** Once for each lease. */
  release(): void;
}

/** One version in the registry, and how many requests have it in hand. */
export class RegisteredVersion implements Lease {
  private leases = 0;
  private onFree: (() => void) | undefined;

  /** @param isRequired Whether the replica is not ready without it. */
  constructor(
    readonly model: RegisteredModel,
    public isRequired: boolean,
  ) {}

  lease(): this {
    this.leases += 1;
    return this;
  }

  release(): void {
    this.leases -= 1;
    if (this.leases === 0) this.onFree?.();
  }

  /** Closes the model once no request has it in hand any more. It must not be found by new ones. */
  async close(): Promise<void> {
    if (this.leases > 0) await new Promise<void>((resolve) => (this.onFree = resolve));
    await this.model.close();
  }
}
