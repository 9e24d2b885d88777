import * as pulumi from '@pulumi/pulumi';
import { shortHash } from '../../runtime/spec/short-hash';

/** A name that the whole account shares: the component's, and a digest of project and stack. */
export function accountName(name: string, maxLength: number): string {
  const digest = shortHash(`${pulumi.getProject()}/${pulumi.getStack()}/${name}`);
  const readable = name
    .replace(/[^A-Za-z0-9]+/g, '-')
    .slice(0, maxLength - digest.length - 1)
    .replace(/^-+|-+$/g, '');
  return `${readable}-${digest}`;
}
