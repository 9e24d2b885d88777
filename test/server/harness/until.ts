import { setTimeout as wait } from 'node:timers/promises';
import { request } from './running-server';

/** Waits for something to come true; a test that waits in vain says for what. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 1_000; attempt++) {
    if (await holds()) return;
    await wait(20);
  }
  throw new Error(`never came true: ${what}`);
}

/** The first sample of a metric; undefined before there is one. */
export async function sample(metricsUrl: string, name: string): Promise<number | undefined> {
  const { text } = await request(`${metricsUrl}/metrics`);
  const value = new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'm').exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
}

/** Waits until so many requests have left the queue for an executor. */
export function untilStarted(metricsUrl: string, requests: number): Promise<void> {
  const name = 'slipway_queue_duration_seconds_count';
  return until(`${requests} requests have begun`, async () => ((await sample(metricsUrl, name)) ?? 0) >= requests);
}

export function untilQueued(metricsUrl: string, rows: number): Promise<void> {
  return until(`${rows} rows wait`, async () => (await sample(metricsUrl, 'slipway_queue_rows')) === rows);
}
