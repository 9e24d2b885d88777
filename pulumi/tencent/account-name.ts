import * as pulumi from '@pulumi/pulumi';
import { shortHash } from '../../runtime/spec/short-hash';

/** Of buckets, whose names take 60 characters with the account's number behind. */
const MAX_LENGTH = 46;

/** A name that the whole account shares: the component's, and a digest of project and stack. */
export function accountName(name: string): string {
  const digest = shortHash(`${pulumi.getProject()}/${pulumi.getStack()}/${name}`);
  const readable = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, MAX_LENGTH - digest.length - 1)
    .replace(/^-+|-+$/g, '');
  return `${readable}-${digest}`;
}

/** COS knows a bucket by its name and the number of the account. */
export function bucketName(name: string, appId: string): string {
  return `${accountName(name)}-${appId}`;
}
