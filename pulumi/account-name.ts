import * as pulumi from '@pulumi/pulumi';
import { shortHash } from '../runtime/spec/short-hash';

/**
 * A name for what a cloud knows by it in the whole account: the component's and a digest of project and stack, up to 46
 * lower-case letters, digits and hyphens.
 */
export function accountName(name: string): string {
  const digest = shortHash(`${pulumi.getProject()}/${pulumi.getStack()}/${name}`);
  const readable = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, MAX_LENGTH - digest.length - 1)
    .replace(/^-+|-+$/g, '');
  return `${readable}-${digest}`;
}

/** Of buckets of COS, whose names take 60 characters with the account's number behind. */
const MAX_LENGTH = 46;
