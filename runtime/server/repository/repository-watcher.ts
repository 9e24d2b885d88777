import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from 'pino';
import { REPOSITORY_INDEX_FILE } from '../../spec/model-repository';
import { childUri, sourceOf } from '../../sources/source-of';
import { readSmallFile } from './read-small-file';

/** Polls after which an object store is listed although its index has not changed: not everybody writes the index. */
const LISTING_POLLS = 12;
const MAX_INDEX_BYTES = 16 * 2 ** 20;
/** A store that has not answered by then has not answered. */
const INDEX_TIMEOUT_MS = 30_000;

export interface RepositoryWatcherOptions {
  /** With a closing slash. */
  readonly uri: string;
  readonly seconds: number;
  /** Looks at the repository. @returns whether everything that is there has been dealt with. */
  readonly look: () => Promise<boolean>;
  readonly log: Logger;
}

/**
 * Looks at a model repository again and again. In an object store it reads the index that `slipway model publish` leaves there,
 * and lists the rest when that has changed. A look that fails changes nothing: what is served goes on.
 */
export class RepositoryWatcher {
  private readonly stopping = new AbortController();
  private index: string | undefined;
  private pollsSinceLook = 0;
  private isSettled = false;
  private lastFailure: string | undefined;

  constructor(private readonly options: RepositoryWatcherOptions) {}

  start(): void {
    void this.run();
  }

  stop(): void {
    this.stopping.abort();
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await wait(this.options.seconds * 1_000, undefined, { signal, ref: false }).catch(() => {});
      if (!signal.aborted) await this.poll();
    }
  }

  private async poll(): Promise<void> {
    const { log, look } = this.options;
    try {
      if (await this.hasNews()) this.isSettled = await look();
      if (this.lastFailure !== undefined) log.info('the model repository answers again');
      this.lastFailure = undefined;
    } catch (error) {
      this.isSettled = false;
      const reason = (error as Error).message;
      // Said once, not every few seconds.
      if (reason !== this.lastFailure) log.warn({ reason }, 'the model repository cannot be read, nothing changes');
      this.lastFailure = reason;
    }
  }

  private async hasNews(): Promise<boolean> {
    const { uri } = this.options;
    if (sourceOf(uri).localPath !== undefined) return true;
    const signal = AbortSignal.any([this.stopping.signal, AbortSignal.timeout(INDEX_TIMEOUT_MS)]);
    const index = (await readSmallFile(childUri(uri, REPOSITORY_INDEX_FILE), MAX_INDEX_BYTES, signal))?.toString();
    const isDue = index === undefined || !this.isSettled || (this.pollsSinceLook += 1) >= LISTING_POLLS;
    if (!isDue && index === this.index) return false;
    this.index = index;
    this.pollsSinceLook = 0;
    return true;
  }
}
