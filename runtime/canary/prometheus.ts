import { setTimeout as sleep } from 'node:timers/promises';

/** One series of an instant query. */
export interface PrometheusSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Prometheus did not answer, or did not answer the question. */
export class PrometheusError extends Error {}

const TIMEOUT_MS = 10_000;
const ATTEMPTS = 3;
const MAX_ANSWER_BYTES = 32 * 2 ** 20;

/** The HTTP API of a Prometheus, or of what speaks like one (Thanos, Mimir, VictoriaMetrics). */
export class Prometheus {
  readonly #endpoint: URL;

  /** @param url Its root, with a path prefix where it has one. */
  constructor(url: string) {
    this.#endpoint = new URL('api/v1/query', url.endsWith('/') ? url : `${url}/`);
  }

  /**
   * The values of now. Asked up to three times, ten seconds each.
   * @throws PrometheusError with what Prometheus said, or why it could not be asked.
   */
  async query(expression: string): Promise<readonly PrometheusSample[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return samplesOf(await this.#ask(expression));
      } catch (error) {
        if (attempt === ATTEMPTS) throw asPrometheusError(error, this.#endpoint);
        await sleep(attempt * 500);
      }
    }
  }

  async #ask(query: string): Promise<unknown> {
    const response = await fetch(this.#endpoint, {
      method: 'POST',
      body: new URLSearchParams({ query }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return JSON.parse(await boundedText(response)) as unknown;
  }
}

async function boundedText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += (chunk as Uint8Array).byteLength;
    if (bytes > MAX_ANSWER_BYTES) throw new PrometheusError(`answered more than ${MAX_ANSWER_BYTES} bytes`);
    text += decoder.decode(chunk as Uint8Array, { stream: true });
  }
  return text;
}

function samplesOf(answer: unknown): readonly PrometheusSample[] {
  const { status, error, data } = answer as {
    status?: unknown;
    error?: unknown;
    data?: { resultType?: unknown; result?: unknown };
  };
  if (status !== 'success') throw new PrometheusError(typeof error === 'string' ? error.slice(0, 300) : 'no answer');
  if (data?.resultType !== 'vector' || !Array.isArray(data.result)) throw new PrometheusError('answered no vector');
  return data.result.map((entry: { metric?: Record<string, string>; value?: [unknown, string] }) => ({
    labels: entry.metric ?? {},
    value: Number(entry.value?.[1]),
  }));
}

function asPrometheusError(error: unknown, endpoint: URL): PrometheusError {
  if (error instanceof PrometheusError) return error;
  const { message, cause } = error as Error;
  const reason = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : undefined;
  return new PrometheusError(`${endpoint.origin} does not answer (${reason ?? message})`);
}
