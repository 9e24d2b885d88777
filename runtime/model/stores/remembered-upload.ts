import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';

/** Where a stopped upload goes on, kept for this user alone: the address is all that one needs to write to it. */
function fileOf(identity: readonly string[]): string {
  const cache = process.env['XDG_CACHE_HOME'] || path.join(homedir(), '.cache');
  const name = createHash('sha256').update(JSON.stringify(identity)).digest('hex');
  return path.join(cache, 'slipway', 'uploads', name);
}

/** The address of an upload that a process of this user has begun, and not ended. */
export async function recallUpload(identity: readonly string[]): Promise<string | undefined> {
  const text = await readFile(fileOf(identity), 'utf8').catch(() => undefined);
  return text?.startsWith('/') ? text : undefined;
}

/** A machine that keeps nothing, a build agent's container say, sends everything again. */
export async function rememberUpload(identity: readonly string[], address: string): Promise<void> {
  const file = fileOf(identity);
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, address, { mode: 0o600 });
  } catch {
    return;
  }
}

export async function forgetUpload(identity: readonly string[]): Promise<void> {
  await rm(fileOf(identity), { force: true }).catch(() => undefined);
}
