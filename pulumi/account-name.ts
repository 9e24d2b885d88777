import * as pulumi from '@pulumi/pulumi';
import { shortHash } from '../runtime/spec/short-hash';

/**
 * A name for what a cloud knows by it in the whole account: the component's and a digest of project and stack, in
 * lower-case letters, digits and hyphens, and a letter first where the component's name has one.
 * @param maxLength @default 46, of buckets of COS, whose names take 60 characters with the account's number behind
 * @param kind tells apart what may have the same name @default - nothing; there is only one of that name
 */
export function accountName(name: string, maxLength = 46, kind?: string): string {
  const owner = kind === undefined ? name : `${kind}/${name}`;
  const digest = shortHash(`${pulumi.getProject()}/${pulumi.getStack()}/${owner}`);
  const readable = hyphenated(name, maxLength - digest.length - 1);
  return `${readable === '' ? 'slipway' : readable}-${digest}`;
}

/** A name that cannot have more than so many characters: as it is where it fits, else its beginning and a digest of all of it. */
export function shortened(name: string, maxLength: number): string {
  if (name.length <= maxLength) return name;
  const digest = shortHash(name);
  return `${name.slice(0, maxLength - digest.length - 1).replace(/[^A-Za-z0-9]+$/, '')}-${digest}`;
}

/** Lower-case letters, digits, and hyphens between them. */
export function hyphenated(text: string, maxLength = Infinity): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, maxLength)
    .replace(/^-+|-+$/g, '');
}
