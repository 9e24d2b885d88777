import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { SigningError } from '../signing/signing-error';
import { isSha256 } from '../spec/manifest-fields';
import { CliError, UsageError } from './cli-error';
import { EXIT_STATUS } from './exit-status';
import type { Command, ParsedArguments } from './command';

const DEFAULT_TIMEOUT_SECONDS = 3_600;
const MAX_TIMEOUT_SECONDS = 86_400;

/** What copies a version: it reads every source that the server reads, and is built with the server, not with the command. */
export interface PullModule {
  readonly pullModel: (uri: string, repository: string, options: PullModuleOptions) => Promise<PulledVersion>;
  /** Whether a pull ended for what the version is, or for a source or a disk; undefined for a defect. */
  readonly pullFailureOf: (error: unknown) => 'input' | 'outside' | undefined;
}

export interface PullModuleOptions {
  readonly signal: AbortSignal;
  readonly onRetry: (error: Error) => void;
  readonly manifestOnly: boolean;
  readonly manifestSha256?: string;
  readonly verifyKeys?: string;
}

export interface PulledVersion {
  readonly name: string;
  readonly version: number;
  readonly folder: string;
  readonly isNew: boolean;
}

/** `slipway model pull` of the installed package. */
export const modelPull: Command = modelPullBy(async () => (await import('./pull-version.js')).loadPull());

/** `slipway model pull`: what the Job of a `ModelStore` runs, as `node /app/cli.mjs model pull`, and people by hand. */
export function modelPullBy(load: () => Promise<PullModule>): Command {
  return {
    arguments: [
      {
        name: 'version',
        description:
          'the URI that slipway model publish printed: s3://, gs://, az://, oss://, cos://, https:// or file:// …/digits/3/',
      },
      { name: 'directory', description: 'a model repository on this machine, or one that becomes one' },
    ],
    options: {
      'manifest-sha256': {
        type: 'string',
        value: 'digest',
        description: "SHA-256 that the version's manifest must have (whichever it has)",
      },
      'verify-key': {
        type: 'string',
        value: 'file',
        description: 'public keys in PEM, of which one must have signed the manifest: cosign.pub (nobody has to)',
      },
      'manifest-only': {
        type: 'boolean',
        description: 'read and check the manifest alone, and write nothing: whether the source lets one in',
      },
      'timeout-seconds': {
        type: 'string',
        value: 'number',
        description: `when to give up, should the source not answer (${DEFAULT_TIMEOUT_SECONDS})`,
      },
      json: { type: 'boolean', description: 'print which version it is, and where it lies now, as JSON' },
    },
    details:
      'Every file is held to the digest in the manifest, and the version appears whole or not at all. A version that is there ' +
      'is never changed. Started again, it goes on where it was ended.',
    run: async (given, terminal) => {
      const { pullModel, pullFailureOf } = await load();
      const manifestSha256 = digestOf(given);
      const verifyKeys = keysOf(given);
      const seconds = timeoutOf(given);
      const manifestOnly = given.flag('manifest-only');
      const signal = AbortSignal.timeout(seconds * 1_000);
      try {
        const { name, version, folder, isNew } = await pullModel(versionOf(given), given.argument('directory'), {
          signal,
          onRetry: ({ message }) => terminal.err(`${message}; trying again`),
          manifestOnly,
          ...(manifestSha256 === undefined ? {} : { manifestSha256 }),
          ...(verifyKeys === undefined ? {} : { verifyKeys }),
        });
        if (given.flag('json')) {
          const place = manifestOnly ? {} : { folder, isNew };
          return terminal.out(
            JSON.stringify({ name, version, ...place, isSigned: verifyKeys !== undefined }, undefined, 2),
          );
        }
        if (manifestOnly) {
          return terminal.out(
            `${name} version ${version} can be read${verifyKeys === undefined ? '' : ', and its signature holds'}`,
          );
        }
        terminal.out(folder);
        terminal.err(`${name} version ${version}: ${isNew ? 'every file has its digest' : 'was there already'}`);
      } catch (error) {
        if (signal.aborted) {
          const message = `not there after ${seconds} s; started again, it goes on from here`;
          throw new CliError(message, EXIT_STATUS.outside);
        }
        const failure = pullFailureOf(error);
        throw failure === undefined ? error : new CliError((error as Error).message, EXIT_STATUS[failure]);
      }
    },
  };
}

function versionOf(given: ParsedArguments): string {
  const uri = given.argument('version');
  if (/^[a-z0-9]+:\/\//i.test(uri)) return uri;
  throw new UsageError(
    `version must be a URI as slipway model publish prints it, got '${uri}'; a folder of this machine is ${pathToFileURL(uri).href}`,
  );
}

function keysOf(given: ParsedArguments): string | undefined {
  const file = given.text('verify-key');
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new SigningError('SIGNING_KEY_INVALID', file, `cannot be read: ${(error as Error).message}`);
  }
}

function digestOf(given: ParsedArguments): string | undefined {
  const text = given.text('manifest-sha256');
  const digest = text?.replace(/^sha256:/, '');
  if (digest === undefined || isSha256(digest)) return digest;
  throw new UsageError(`--manifest-sha256 must be 64 lower-case hexadecimal digits, got '${text}'`);
}

function timeoutOf(given: ParsedArguments): number {
  const text = given.text('timeout-seconds') ?? String(DEFAULT_TIMEOUT_SECONDS);
  const seconds = Number(text);
  if (!(Number.isSafeInteger(seconds) && seconds >= 1 && seconds <= MAX_TIMEOUT_SECONDS)) {
    throw new UsageError(`--timeout-seconds must be a whole number from 1 to ${MAX_TIMEOUT_SECONDS}, got '${text}'`);
  }
  return seconds;
}
