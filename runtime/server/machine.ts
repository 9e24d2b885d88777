import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/**
 * Changes when the machine starts anew: what a crash of the machine may have kept from reaching the disk is not trusted
 * after it. Empty where the system does not tell.
 */
export function bootId(): string {
  return read('/proc/sys/kernel/random/boot_id')?.trim() ?? '';
}

/** In which set of process numbers ours is one: two containers may both call their server process 1. */
export function processSpace(): string {
  const namespace = attempt(() => readlinkSync('/proc/self/ns/pid'));
  return namespace === undefined ? hostname() : `${bootId()} ${namespace}`;
}

/** When a process of our space began, in the system's own unit; undefined when there is none with this number. */
export function processStart(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`);
  // The second field is the name in brackets, which may hold anything; the start time is the 22nd.
  if (stat !== undefined) return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  if (read('/proc/self/stat') !== undefined) return undefined;
  return attempt(() => process.kill(pid, 0)) === true ? '' : undefined;
}

function read(path: string): string | undefined {
  return attempt(() => readFileSync(path, 'utf8'));
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
