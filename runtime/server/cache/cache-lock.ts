import { readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { CacheUsers } from './cache-users';

let count = 0;

/**
 * Does something while no other user of the cache does anything under the same folder's lock. Each contender puts a file of
 * its own there and goes ahead when it is the only living one; two that see each other both step back. A file has one owner
 * for ever, so what a dead process left can be removed by anybody without taking a living one's away.
 * @throws the reason of the signal when it aborts while we wait.
 */
export async function withLock<T>(
  folder: string,
  users: CacheUsers,
  pauseMs: number,
  signal: AbortSignal,
  act: () => Promise<T>,
): Promise<T> {
  const name = `lock-${users.id}-${count++}`;
  const file = path.join(folder, name);
  await users.appear();
  try {
    for (;;) {
      signal.throwIfAborted();
      if (!(await isHeld(folder, name, users))) {
        await writeFile(file, '');
        if (!(await isHeld(folder, name, users))) break;
        await rm(file, { force: true });
      }
      await wait(pauseMs * (0.5 + Math.random()), undefined, { signal });
    }
    return await act();
  } finally {
    await rm(file, { force: true });
  }
}

/** Whether a living process has its file there. */
async function isHeld(folder: string, own: string, users: CacheUsers): Promise<boolean> {
  const others = (await readdir(folder)).filter((name) => name.startsWith('lock-') && name !== own);
  if (others.length === 0) return false;
  const living = await users.living();
  let isHeldByOthers = false;
  for (const name of others) {
    const id = name.slice('lock-'.length, name.lastIndexOf('-'));
    if (living.has(id)) isHeldByOthers = true;
    else await rm(path.join(folder, name), { force: true });
  }
  return isHeldByOthers;
}
