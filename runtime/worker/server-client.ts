import { Agent, request, type IncomingMessage } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { PATHS } from '../spec/endpoints';
import type { ByteBudget } from './byte-budget';

/** One inference request, as the server of the same replica takes it. */
export interface InferenceRequest {
  readonly model: string;
  readonly version?: number;
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly inferenceHeaderLength?: number;
}

export interface InferenceAnswer {
  readonly status: number;
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly inferenceHeaderLength?: number;
  /** What the server asks for before another try. */
  readonly retryAfterSeconds?: number;
  /** Gives back the memory that the body takes. */
  readonly release: () => void;
}

export interface ServerClientOptions {
  /** `http://127.0.0.1:8080` */
  readonly url: string;
  readonly requestDeadlineSeconds: number;
  /** What the answers of all requests may take. */
  readonly answers: ByteBudget;
}

const READY_POLL_MS = 1_000;
const READY_TIMEOUT_MS = 2_000;
/** The server ends a request at its deadline by itself; this much later something is wrong with it. */
const ANSWER_GRACE_SECONDS = 15;

/** The inference server beside this process. */
export class ServerClient {
  private readonly agent = new Agent({ keepAlive: true });

  constructor(private readonly options: ServerClientOptions) {}

  /** Whether the server would take a request now. */
  async isReady(): Promise<boolean> {
    try {
      const response = await this.send('GET', PATHS.ready, {}, undefined, AbortSignal.timeout(READY_TIMEOUT_MS));
      response.resume();
      return response.statusCode === 200;
    } catch {
      return false;
    }
  }

  /** Resolves when the server is ready, or when the signal ends the waiting. */
  async waitUntilReady(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !(await this.isReady())) {
      await wait(READY_POLL_MS, undefined, { signal }).catch(() => {});
    }
  }

  /** @throws Error when there is no answer. */
  async infer({
    model,
    version,
    body,
    contentType,
    inferenceHeaderLength,
  }: InferenceRequest): Promise<InferenceAnswer> {
    const ofVersion = version === undefined ? '' : `/versions/${version}`;
    const headers = {
      'Content-Type': contentType,
      'Content-Length': String(body.byteLength),
      ...(inferenceHeaderLength === undefined
        ? {}
        : { 'Inference-Header-Content-Length': String(inferenceHeaderLength) }),
    };
    const timeout = AbortSignal.timeout((this.options.requestDeadlineSeconds + ANSWER_GRACE_SECONDS) * 1_000);
    const response = await this.send('POST', `/v2/models/${model}${ofVersion}/infer`, headers, body, timeout);
    const release = await this.options.answers.take(Number(response.headers['content-length'] ?? 0));
    try {
      return { ...(await readAnswer(response)), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  close(): void {
    this.agent.destroy();
  }

  private send(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array | undefined,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const sending = request(`${this.options.url}${path}`, { method, headers, agent: this.agent, signal }, resolve);
      sending.on('error', reject);
      sending.end(body);
    });
  }
}

async function readAnswer(response: IncomingMessage): Promise<Omit<InferenceAnswer, 'release'>> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const headerLength = numberOf(response.headers['inference-header-content-length']);
  const retryAfterSeconds = numberOf(response.headers['retry-after']);
  return {
    status: response.statusCode!,
    body: Buffer.concat(chunks),
    contentType: response.headers['content-type'] ?? 'application/octet-stream',
    ...(headerLength === undefined ? {} : { inferenceHeaderLength: headerLength }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  };
}

function numberOf(header: string | readonly string[] | undefined): number | undefined {
  const value = Number(header);
  return header !== undefined && Number.isFinite(value) ? value : undefined;
}
