import { stat } from 'node:fs/promises';
import { SessionError, type ExecutorOptions } from '../executor';
import type { NativeRuntime } from './native-runtime';
import { OrtError } from './ort-api';
import { withSessionOptions } from './session-options';
import { readSignature, type SessionSignature } from './session-signature';

/** A session that several executors run at the same time. */
export interface SharedSession extends SessionSignature {
  /** Address of the `OrtSession`. */
  readonly session: bigint;
  /** To be called once by each user, when it runs the session no more. The last one ends it. */
  release(): Promise<void>;
}

interface Entry {
  readonly opened: Promise<SessionSignature & { readonly session: bigint }>;
  users: number;
}

const entries = new Map<string, Entry>();
/** Ends when the last opening so far does: they would only compete for the CPU and for the threads of libuv's pool. */
let lastOpening: Promise<unknown> = Promise.resolve();

/**
 * The session of these options, opened for its first user.
 * @throws SessionError when ONNX Runtime refuses the model.
 */
export async function shareSession(runtime: NativeRuntime, options: ExecutorOptions): Promise<SharedSession> {
  const key = await keyOf(options);
  const entry = entries.get(key) ?? addEntry(key, runtime, options);
  entry.users += 1;
  let isReleased = false;
  const release = async (): Promise<void> => {
    if (isReleased) return;
    isReleased = true;
    entry.users -= 1;
    if (entry.users > 0) return;
    if (entries.get(key) === entry) entries.delete(key);
    const { session } = await entry.opened;
    await runtime.api.releaseInPool('ReleaseSession', session);
  };
  try {
    return { ...(await entry.opened), release };
  } catch (error) {
    // The next one tries again: the machine may have been out of memory.
    if (entries.get(key) === entry) entries.delete(key);
    throw error;
  }
}

/** Two versions of a file that had the same path are two models. */
async function keyOf(options: ExecutorOptions): Promise<string> {
  const file = await stat(options.modelPath).catch((error: Error) => {
    throw new SessionError(error.message);
  });
  return JSON.stringify([options, file.dev, file.ino, file.size, file.mtimeMs]);
}

function addEntry(key: string, runtime: NativeRuntime, options: ExecutorOptions): Entry {
  const opened = lastOpening.then(() => open(runtime, options));
  lastOpening = opened.catch(() => {});
  const entry: Entry = { opened, users: 0 };
  entries.set(key, entry);
  return entry;
}

async function open(
  { api, env }: NativeRuntime,
  options: ExecutorOptions,
): Promise<SessionSignature & { readonly session: bigint }> {
  const created = new BigUint64Array(1);
  try {
    await withSessionOptions(api, options, (sessionOptions) =>
      api.callInPool('CreateSession', env, options.modelPath, sessionOptions, created),
    );
  } catch (error) {
    throw error instanceof OrtError ? new SessionError(error.message) : error;
  }
  const session = created[0]!;
  try {
    return { session, ...readSignature(api, session) };
  } catch (error) {
    await api.releaseInPool('ReleaseSession', session);
    throw error;
  }
}
