import { randomBytes } from 'node:crypto';

const VALID = /^[\w.:@/+=-]{1,128}$/;

/** Replicas and restarts do not share ids; within a process a number is enough, and costs next to nothing. */
const PREFIX = randomBytes(9).toString('base64url');
let made = 0;

/** What a request is called in the log and in the answer: the client's `x-request-id`, when it is short and plain, or a new id. */
export function requestIdOf(header: string | undefined): string {
  if (header !== undefined && VALID.test(header)) return header;
  made += 1;
  return `${PREFIX}-${made.toString(36)}`;
}
