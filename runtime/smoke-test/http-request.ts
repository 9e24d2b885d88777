import { request } from 'node:http';
import { request as requestTls } from 'node:https';
import { setTimeout as wait } from 'node:timers/promises';

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

export interface HttpRequest {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export type Send = (url: string, request?: HttpRequest) => Promise<HttpAnswer>;

const MAX_ANSWER_BYTES = 256 * 2 ** 20;

/** Sends until the answer is one to keep, or the signal ends it. */
export function sendTo(
  signal: AbortSignal,
  { retried, afterMs }: { readonly retried: ReadonlySet<number>; readonly afterMs: number },
): Send {
  return async (url, sent = {}) => {
    for (;;) {
      const answer = await send(url, sent, signal);
      if (!retried.has(answer.status)) return answer;
      await wait(afterMs, undefined, { signal });
    }
  };
}

function send(url: string, { headers = {}, body }: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const options = { method: body === undefined ? 'GET' : 'POST', headers, signal, agent: false as const };
    const outgoing = url.startsWith('https:')
      ? // The certificate is for the name that callers use, and the test listener has another. It is encrypted, inside the
        // VPC, to a load balancer that lets in this function alone, and carries no secret.
        requestTls(url, { ...options, rejectUnauthorized: false })
      : request(url, options);
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      incoming.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        if ((bytes += chunk.byteLength) <= MAX_ANSWER_BYTES) return;
        outgoing.destroy(new Error(`the answer is over ${MAX_ANSWER_BYTES} bytes`));
      });
      incoming.on('error', reject);
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode!, headers: incoming.headers, body: Buffer.concat(chunks) }),
      );
    });
    outgoing.end(body);
  });
}
