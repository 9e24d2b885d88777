import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import path from 'node:path';

/** The API server refused, or could not be asked. */
export class KubernetesApiError extends Error {
  constructor(
    message: string,
    /** Of HTTP; undefined where there was no answer. */
    readonly status?: number,
  ) {
    super(message);
  }
}

/** Where a pod finds its token, and what it trusts the API server by. */
const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 4 * 2 ** 20;

/**
 * The API server of the cluster that this pod runs in, with the pod's own token. Neither `fetch` nor a client library: the
 * one takes no certificate authority of one's own, the other would be ten times this program.
 */
export class KubernetesApi {
  readonly #origin: URL;

  /** @throws KubernetesApiError outside a cluster. */
  constructor(
    private readonly folder = SERVICE_ACCOUNT_FOLDER,
    environment: NodeJS.ProcessEnv = process.env,
  ) {
    const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = environment;
    if (host === undefined)
      throw new KubernetesApiError('KUBERNETES_SERVICE_HOST is not set: this is no pod of a cluster');
    this.#origin = new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`);
  }

  get(resource: string): Promise<unknown> {
    return this.#ask('GET', resource);
  }

  /** @param operations Of a JSON patch: all of them are done, or none. */
  patch(resource: string, operations: readonly object[], fieldManager: string): Promise<unknown> {
    return this.#ask('PATCH', `${resource}?fieldManager=${fieldManager}`, JSON.stringify(operations));
  }

  async #ask(method: string, resource: string, body?: string): Promise<unknown> {
    // Read each time: the kubelet replaces a token before it ends.
    const [token, ca] = await Promise.all(
      ['token', 'ca.crt'].map((name) => readFile(path.join(this.folder, name), 'utf8')),
    );
    const headers = {
      authorization: `Bearer ${token!.trim()}`,
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json-patch+json' }),
    };
    const { status, text } = await exchange(new URL(resource, this.#origin), { method, headers, ca: ca! }, body);
    if (status >= 200 && status < 300) return JSON.parse(text) as unknown;
    throw new KubernetesApiError(messageOf(text) ?? `the API server answered ${status}`, status);
  }
}

interface ExchangeOptions {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly ca: string;
}

function exchange(url: URL, options: ExchangeOptions, body?: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void =>
      reject(error instanceof KubernetesApiError ? error : new KubernetesApiError(`${url.origin}: ${error.message}`));
    const asked = request(url, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MAX_ANSWER_BYTES)
          response.destroy(new KubernetesApiError('the API server answered too much'));
      });
      response.on('error', fail);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.on('error', fail);
    asked.end(body);
  });
}

function messageOf(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === 'string' ? message.slice(0, 300) : undefined;
  } catch {
    return undefined;
  }
}
