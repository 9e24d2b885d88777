import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { ObjectStore } from './object-store';

/** Longer than any request under it may take: whoever had a lock that old is gone. */
const ABANDONED_MS = 120_000;
const ATTEMPTS = 20;
const PAUSE_MS = 150;

/**
 * Replaces an object where the store has no condition for that, but one for creating: whoever creates the lock beside it may
 * look and write. A lock that an ended process has left is passed over after two minutes.
 * @returns false when the object is not the one with this tag
 * @throws Error when others keep the lock
 */
export async function replaceUnderLock(
  store: Pick<ObjectStore, 'create' | 'list' | 'read' | 'delete'>,
  key: string,
  tag: string | undefined,
  put: () => Promise<unknown>,
): Promise<boolean> {
  const lock = `${key}.lock`;
  await take(store, lock);
  try {
    if ((await store.read(key))?.tag !== tag) return false;
    await put();
    return true;
  } finally {
    await store.delete(lock);
  }
}

async function take(store: Pick<ObjectStore, 'create' | 'list' | 'delete'>, lock: string): Promise<void> {
  const publisher = randomUUID();
  const content = Buffer.from(publisher);
  const sha256 = createHash('sha256').update(content).digest('hex');
  const file = { path: lock, bytes: content.byteLength, sha256, content };
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    if (await store.create(lock, file, { publisher, onBytes: () => {} })) return;
    const folder = lock.slice(0, lock.lastIndexOf('/') + 1);
    const held = (await store.list(folder)).objects.find((object) => object.key === lock);
    if (held !== undefined && Date.now() - held.modified.getTime() > ABANDONED_MS) await store.delete(lock);
    else await wait(PAUSE_MS * (0.5 + Math.random()));
  }
  throw new Error(
    `is being changed by somebody else; ${lock} is theirs, and passed over two minutes after they are gone`,
  );
}
