import { stat } from 'node:fs/promises';
import type { Logger } from 'pino';

const POLL_MS = 5_000;

export interface WatchedFilesOptions {
  readonly paths: readonly string[];
  /** Reads the files again. What it throws is logged, and what was read before goes on being used. */
  readonly reload: () => void | Promise<void>;
  readonly log: Logger;
  /** @default 5,000 */
  readonly pollMs?: number;
}

/**
 * Notices that files have changed. They are looked at, not subscribed to: a mounted secret of Kubernetes changes by a link
 * being swapped two folders up, and network disks send no events. The stat of a path follows such links.
 */
export class WatchedFiles {
  private seen = '';
  private readonly timer: NodeJS.Timeout;
  private isLooking = false;

  private constructor(
    private readonly options: WatchedFilesOptions,
    seen: string,
  ) {
    this.seen = seen;
    this.timer = setInterval(() => void this.look(), options.pollMs ?? POLL_MS).unref();
  }

  /** Call before the first reading: a change that comes while the files are read is then seen as one. */
  static async start(options: WatchedFilesOptions): Promise<WatchedFiles> {
    return new WatchedFiles(options, await fingerprint(options.paths));
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    if (this.isLooking) return;
    this.isLooking = true;
    const { paths, reload, log } = this.options;
    try {
      const now = await fingerprint(paths);
      if (now === this.seen) return;
      this.seen = now;
      await reload();
      log.info({ files: paths }, 'changed files read again');
    } catch (error) {
      log.error({ files: paths, reason: (error as Error).message }, 'changed files cannot be used, the old ones stay');
    } finally {
      this.isLooking = false;
    }
  }
}

async function fingerprint(paths: readonly string[]): Promise<string> {
  const facts = await Promise.all(
    paths.map(async (path) => {
      try {
        const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true });
        return [dev, ino, size, mtimeNs].join(' ');
      } catch (error) {
        return (error as NodeJS.ErrnoException).code ?? 'unreadable';
      }
    }),
  );
  return facts.join('\n');
}
