import { ServerError } from './errors';

/** What one request holds of the memory for bodies. */
export interface BodyLease {
  /** @throws ServerError BODY_MEMORY_FULL */
  take(bytes: number): void;
  release(): void;
}

/**
 * The memory that request bodies may hold at once, from their first byte to the answer. The queue counts rows; this
 * counts bytes, those that are still arriving among them, so that many large requests at once are turned away and do not
 * end the process.
 */
export class BodyMemory {
  private held = 0;

  constructor(private readonly limit: number) {}

  lease(): BodyLease {
    let taken = 0;
    return {
      take: (bytes) => {
        // A body that is alone may be larger than the memory for all: how large one may be is another limit.
        if (this.held > taken && this.held + bytes > this.limit) {
          throw new ServerError(
            'BODY_MEMORY_FULL',
            `requests in flight hold ${this.held} of ${this.limit} bytes for bodies, got ${bytes} more`,
          );
        }
        taken += bytes;
        this.held += bytes;
      },
      release: () => {
        this.held -= taken;
        taken = 0;
      },
    };
  }
}
