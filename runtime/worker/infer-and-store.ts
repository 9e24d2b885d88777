import { setTimeout as wait } from 'node:timers/promises';
import type { ByteBudget } from './byte-budget';
import { ObjectError, type FoundObject, type ObjectStore } from './object-store';
import type { InferenceAnswer, InferenceRequest, ServerClient } from './server-client';

/** One inference, from where its input lies to where its result goes. */
export interface InferenceTask {
  readonly model: string;
  readonly version?: number;
  readonly input: { readonly uri: string } | { readonly json: string };
  readonly contentType?: string;
  readonly inferenceHeaderLength?: number;
  /** URI of the result without its ending: `.json`, `.bin`, or `.error.json` for a request that nobody can answer. */
  readonly result: string;
  /** Goes into an error's result. */
  readonly id: string;
}

export interface InferenceTools {
  readonly server: ServerClient;
  readonly store: ObjectStore;
  /** What the inputs of all tasks may take in memory. */
  readonly inputs: ByteBudget;
  readonly maxBodyBytes: number;
  /** `s3://<bucket>/<prefix>` each: where inputs may lie, whatever else this replica may read. */
  readonly inputPlaces: readonly string[];
  /** Ends waiting between tries. */
  readonly signal: AbortSignal;
}

/** `answered`: the model's answer is stored. `refused`: it is the request's fault, and that is stored. */
export type Outcome = 'answered' | 'refused';

/** Another try, now or later, may go better. */
export class TryAgainError extends Error {}

/** Tries while the server says that it is busy, which a full queue is: they do not count as the message's failures. */
const BUSY_TRIES = 8;
const BUSY_WAIT_MS = 250;
const MAX_BUSY_WAIT_MS = 10_000;
const MAX_REASON_CHARACTERS = 2_000;
/** Answers that are the client's mistake by their number and nobody's by their meaning: our own identity, time, haste. */
const NOT_THE_REQUESTS_FAULT = new Set([401, 403, 408, 425, 429, 499]);

/**
 * Asks the server and stores what it says.
 * @throws TryAgainError when another try may go better.
 */
export async function inferAndStore(task: InferenceTask, tools: InferenceTools): Promise<Outcome> {
  const read = await readInput(task, tools);
  if ('refusal' in read) return storeRefusal(task, tools, read.refusal);
  let answer: InferenceAnswer;
  try {
    answer = await ask(read.request, tools);
  } finally {
    read.release();
  }
  try {
    return await storeAnswer(task, tools, answer);
  } finally {
    answer.release();
  }
}

interface Refusal {
  readonly status: number;
  readonly reason: string;
}

type Input = { readonly request: InferenceRequest; readonly release: () => void } | { readonly refusal: Refusal };

async function readInput(task: InferenceTask, tools: InferenceTools): Promise<Input> {
  const { store, inputs, maxBodyBytes } = tools;
  const { model, version, input } = task;
  const target = { model, ...(version === undefined ? {} : { version }) };
  if ('json' in input) {
    const body = Buffer.from(input.json);
    const headerLength = task.inferenceHeaderLength;
    const release = await inputs.take(body.byteLength);
    return {
      release,
      request: {
        ...target,
        body,
        contentType: task.contentType ?? 'application/json',
        ...(headerLength === undefined ? {} : { inferenceHeaderLength: headerLength }),
      },
    };
  }
  if (!tools.inputPlaces.some((place) => input.uri.startsWith(place))) {
    return { refusal: { status: 403, reason: 'the input lies in no place that this service takes inputs from' } };
  }
  const found = await store.open(input.uri).catch((error: unknown) => {
    if (error instanceof ObjectError && error.reason === 'gone') return undefined;
    throw new TryAgainError(`the input cannot be read: ${messageOf(error)}`);
  });
  if (found === undefined) return { refusal: { status: 404, reason: 'the input does not exist' } };
  if (found.bytes > maxBodyBytes) {
    found.discard();
    return {
      refusal: { status: 413, reason: `the input has ${found.bytes} bytes, at most ${maxBodyBytes} are taken` },
    };
  }
  const { object, release } = await withRoom(found, input.uri, tools);
  try {
    const headerLength = task.inferenceHeaderLength ?? object.inferenceHeaderLength;
    const fallback = headerLength === undefined ? 'application/json' : 'application/octet-stream';
    const body = await object.read();
    return {
      release,
      request: {
        ...target,
        body,
        contentType: task.contentType ?? object.contentType ?? fallback,
        ...(headerLength === undefined ? {} : { inferenceHeaderLength: headerLength }),
      },
    };
  } catch (error) {
    release();
    throw new TryAgainError(`the input cannot be read: ${messageOf(error)}`);
  }
}

// Nobody keeps a connection open that is not read from for minutes, so who waits for room asks for the object again.
async function withRoom(
  found: FoundObject,
  uri: string,
  { store, inputs }: InferenceTools,
): Promise<{ readonly object: FoundObject; readonly release: () => void }> {
  const room = inputs.tryTake(found.bytes);
  if (room !== undefined) return { object: found, release: room };
  found.discard();
  const release = await inputs.take(found.bytes);
  try {
    const object = await store.open(uri);
    if (object.bytes <= found.bytes) return { object, release };
    object.discard();
    throw new Error('it grew while it waited');
  } catch (error) {
    release();
    throw new TryAgainError(`the input cannot be read: ${messageOf(error)}`);
  }
}

async function ask(request: InferenceRequest, { server, signal }: InferenceTools): Promise<InferenceAnswer> {
  for (let attempt = 0; ; attempt++) {
    const answer = await server.infer(request).catch((error: unknown) => {
      throw new TryAgainError(`the server does not answer: ${messageOf(error)}`);
    });
    const isBusy = answer.status === 429 || answer.status === 503;
    if (!isBusy || attempt === BUSY_TRIES || signal.aborted) return answer;
    answer.release();
    const askedForMs = (answer.retryAfterSeconds ?? 0) * 1_000;
    // Not all at the same moment again.
    const waitMs =
      Math.min(MAX_BUSY_WAIT_MS, Math.max(askedForMs, BUSY_WAIT_MS * 2 ** attempt)) * (0.5 + Math.random());
    await wait(waitMs, undefined, { signal }).catch(() => {});
  }
}

async function storeAnswer(task: InferenceTask, tools: InferenceTools, answer: InferenceAnswer): Promise<Outcome> {
  const { status, body, contentType, inferenceHeaderLength } = answer;
  if (status === 200) {
    const isJson = contentType.startsWith('application/json');
    await store(tools, `${task.result}${isJson ? '.json' : '.bin'}`, {
      body,
      contentType,
      ...(inferenceHeaderLength === undefined ? {} : { inferenceHeaderLength }),
    });
    return 'answered';
  }
  const reason = reasonOf(body);
  if (status >= 400 && status < 500 && !NOT_THE_REQUESTS_FAULT.has(status)) {
    return storeRefusal(task, tools, { status, reason });
  }
  throw new TryAgainError(`the server answered ${status}`);
}

async function storeRefusal(task: InferenceTask, tools: InferenceTools, { status, reason }: Refusal): Promise<Outcome> {
  const { id, model, version } = task;
  await store(tools, `${task.result}.error.json`, {
    body: JSON.stringify({ id, model, ...(version === undefined ? {} : { version }), status, error: reason }),
    contentType: 'application/json',
  });
  return 'refused';
}

async function store(tools: InferenceTools, ...result: Parameters<ObjectStore['put']>): Promise<void> {
  await tools.store.put(...result).catch((error: unknown) => {
    throw new TryAgainError(`the result cannot be stored: ${messageOf(error)}`);
  });
}

function reasonOf(body: Uint8Array): string {
  const text = Buffer.from(body).toString('utf8');
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    if (typeof error === 'string') return error.slice(0, MAX_REASON_CHARACTERS);
  } catch {
    // Not our server's shape: the text itself.
  }
  return text.slice(0, MAX_REASON_CHARACTERS);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
