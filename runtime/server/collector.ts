import { setFlagsFromString } from 'node:v8';

/**
 * Each 64 KiB of a body that is read is memory outside the JavaScript heap, and short-lived. The V8 of Node 24 would mark the whole
 * heap after every 64 MiB of it, unless it counts such memory as part of the heap: then collecting what is young is enough,
 * as long as the heap may grow. A request of 602 KB costs a third of the processor time so, and no pause is long; the heap
 * grows by some 100 MiB, so it is done only where large bodies come. Node 20 and 22 cannot, and later releases are left as
 * they are.
 */
const FLAGS = ['--external-memory-accounted-in-global-limit', '--heap-growing-percent=300'];
const NODE_MAJOR = 24;

let isTuned = false;

/** Has this process collect garbage as a server wants it whose bodies are large. Once is enough. */
export function tuneGarbageCollector(): void {
  if (isTuned) return;
  isTuned = true;
  if (Number.parseInt(process.versions.node) !== NODE_MAJOR) return;
  for (const flag of FLAGS) setFlagsFromString(flag);
}
