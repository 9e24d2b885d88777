import { parseVersionFolder } from '../spec/model-repository';
import { UsageError } from './cli-error';
import type { ParsedArguments } from './command';

/** What names a model repository, in the help of the commands that look after one. */
export const REPOSITORY_ARGUMENT = {
  name: 'model repository',
  description: 'a directory, s3://bucket/prefix, gs://, oss://, cos:// or az://account/container/prefix',
} as const;

/** @throws UsageError for what is no whole number from 1 up. */
export function versionArgument(given: ParsedArguments, name: string): number {
  const text = given.argument(name);
  const version = parseVersionFolder(text);
  if (version === undefined) throw new UsageError(`<${name}> must be a whole number from 1 up, got '${text}'`);
  return version;
}

/** @throws UsageError for what is no whole number in the range. */
export function countOption(given: ParsedArguments, name: string, least: number): number | undefined {
  const text = given.text(name);
  if (text === undefined) return undefined;
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(Number.isSafeInteger(count) && count >= least)) {
    throw new UsageError(`--${name} must be a whole number from ${least} up, got '${text}'`);
  }
  return count;
}
