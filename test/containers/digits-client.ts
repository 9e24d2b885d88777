import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';

export const DIGITS = path.resolve(__dirname, '../../models/digits');

/** The held-out images and what they show. */
export const { images, labels } = JSON.parse(readFileSync(path.join(DIGITS, 'heldout.json'), 'utf8')) as {
  readonly images: readonly (readonly number[])[];
  readonly labels: readonly number[];
};

/** The digit that the server reads in an image. @throws Error on any answer but 200. */
export async function classify(url: string, image: readonly number[], agent?: Agent): Promise<number> {
  const { answer, finish } = slowRequest(url, image, agent);
  finish();
  return digitIn(await answer);
}

/** @throws Error on any answer but 200. */
export function digitIn({ status, body }: Answer): number {
  if (status !== 200) throw new Error(`answered ${status}: ${body}`);
  const { outputs } = JSON.parse(body) as { outputs: { data: number[] }[] };
  const probabilities = outputs[0]!.data;
  return probabilities.indexOf(Math.max(...probabilities));
}

export interface ClientResult {
  readonly answeredAt: number[];
  readonly failures: string[];
}

/** One client with one kept-alive connection. Whatever is not the right answer is a failure: a cut connection too. */
export async function clientUntil(stop: AbortSignal, url: string, offset: number): Promise<ClientResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const result: ClientResult = { answeredAt: [], failures: [] };
  for (let i = offset; !stop.aborted; i = (i + 1) % images.length) {
    try {
      const digit = await classify(url, images[i]!, agent);
      if (digit !== labels[i]) result.failures.push(`image ${i} is a ${labels[i]}, got ${digit}`);
      result.answeredAt.push(Date.now());
    } catch (error) {
      result.failures.push((error as Error).message);
    }
  }
  agent.destroy();
  return result;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A request whose last byte is held back until `finish` is called. */
export function slowRequest(url: string, image: readonly number[], agent?: Agent) {
  const inputs = [{ name: 'image', shape: [1, 1, 8, 8], datatype: 'FP32', data: image }];
  const payload = JSON.stringify({ inputs });
  const sent = request(`${url}/v2/models/digits/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-length': payload.length },
    ...(agent === undefined ? {} : { agent }),
  });
  const answer = new Promise<Answer>((resolve, reject) => {
    sent.on('error', reject);
    sent.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      );
    });
  });
  sent.write(payload.slice(0, -1));
  return { answer, finish: () => void sent.end(payload.slice(-1)) };
}

/** Why a new connection fails, or undefined while it is accepted. */
export async function refusal(url: string): Promise<string | undefined> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.on('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  });
}
