import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { packageRoot } from '../image/image-context';
import { CliError } from './cli-error';
import type { PulledVersion, PullModule } from './model-pull';

export interface PullVersionOptions {
  /** The URI that publishing gave: `s3://`, `gs://`, `az://`, `oss://`, `cos://`, `https://` or `file://` …/digits/3/. */
  readonly version: string;
  /** A model repository on this machine, or a folder that becomes one. */
  readonly directory: string;
  /** SHA-256 that the version's manifest must have, in lower-case hexadecimal. @default - whichever it has */
  readonly manifestSha256?: string;
  /** Public keys in PEM, of which one must have signed the manifest. @default - nobody has to */
  readonly verifyKeys?: string;
  /** Read and check the manifest alone, and write nothing. @default false */
  readonly manifestOnly?: boolean;
  /** Ends it; called again, it goes on where it was. @default - after an hour */
  readonly signal?: AbortSignal;
  /** Told why something is asked for again. @default - nobody is */
  readonly onRetry?: (error: Error) => void;
}

export const PULL_TIMEOUT_SECONDS = 3_600;

/**
 * Copies one published version into a model repository of this machine, every file by its digest, whole or not at all: what
 * `slipway model pull` does.
 * @throws an error with what the source or the version said; SigningError when none of the keys has signed it
 */
export async function pullVersion(options: PullVersionOptions): Promise<PulledVersion> {
  const { version, directory, manifestSha256, verifyKeys, manifestOnly = false, onRetry = () => {} } = options;
  const { pullModel } = await loadPull();
  return pullModel(version, directory, {
    signal: options.signal ?? AbortSignal.timeout(PULL_TIMEOUT_SECONDS * 1_000),
    onRetry,
    manifestOnly,
    ...(manifestSha256 === undefined ? {} : { manifestSha256 }),
    ...(verifyKeys === undefined ? {} : { verifyKeys }),
  });
}

/** What the package was built with. */
export async function loadPull(): Promise<PullModule> {
  const bundle = path.join(packageRoot(), 'dist', 'model-pull.mjs');
  if (!existsSync(bundle)) throw new CliError(`${bundle} is not there; run 'npm run build' in ${packageRoot()}`);
  return (await import(pathToFileURL(bundle).href)) as PullModule;
}
