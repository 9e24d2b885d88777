import { inferRequest, type HeldOutDigit } from './held-out-digits';
import { RemediedError } from '../remedied-error';

export interface Prediction {
  readonly digit: number;
  readonly probability: number;
  /** Of every digit from 0 to 9. */
  readonly probabilities: readonly number[];
}

export interface Measurement {
  readonly requests: number;
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
  /** Requests whose answer was what the writer meant. */
  readonly right: number;
  readonly seconds: number;
}

/** Sends one digit over HTTP and reads the answer. */
export async function predict(url: string, digit: HeldOutDigit): Promise<Prediction> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: inferRequest([digit]),
  });
  const body = await response.text();
  if (!response.ok) {
    throw new RemediedError(`the prediction was answered ${response.status}: ${body}`, 'see the log of the server');
  }
  const { outputs } = JSON.parse(body) as { outputs: { data: number[] }[] };
  const probabilities = outputs[0]!.data;
  const probability = Math.max(...probabilities);
  return { digit: probabilities.indexOf(probability), probability, probabilities };
}

/** Sends every digit once, one after another over one connection, after a short warm-up that is not counted. */
export async function measure(url: string, digits: readonly HeldOutDigit[]): Promise<Measurement> {
  for (const digit of digits.slice(0, 20)) await predict(url, digit);
  const milliseconds: number[] = [];
  let right = 0;
  const began = performance.now();
  for (const digit of digits) {
    const sent = performance.now();
    const { digit: answer } = await predict(url, digit);
    milliseconds.push(performance.now() - sent);
    if (answer === digit.label) right += 1;
  }
  milliseconds.sort((a, b) => a - b);
  return {
    requests: digits.length,
    p50Milliseconds: percentile(milliseconds, 0.5),
    p99Milliseconds: percentile(milliseconds, 0.99),
    right,
    seconds: (performance.now() - began) / 1_000,
  };
}

/** The smallest value that at least this share of the values does not exceed. */
function percentile(ascending: readonly number[], share: number): number {
  return ascending[Math.max(0, Math.ceil(ascending.length * share) - 1)]!;
}
