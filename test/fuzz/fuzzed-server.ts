import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { startBundledServer, type BundledServer } from '../server/harness/bundled-server';
import { identityModel, lookupModel, twoInputsModel } from '../support/onnx-models';
import { fuzzServer, type FuzzReport } from './fuzz-server';

/** What memory may grow by between a tenth of the requests and all of them: buffers, arenas and garbage not yet collected. */
const GROWTH_MIB = 150;

/**
 * Starts a server, sends it so many requests from a seed, and asks whether it is still what it was.
 * @param options.untilClosed Waits until it holds no connection any more, a minute or so. @default - does not
 */
export async function fuzz(
  seed: number,
  requests: number,
  options: { readonly untilClosed?: boolean } = {},
): Promise<FuzzReport> {
  const server = await startBundledServer(
    [
      { name: 'two', bytes: twoInputsModel() },
      { name: 'lookup', bytes: lookupModel() },
      { name: 'words', bytes: identityModel({ datatype: 'BYTES', shape: ['n', 'm'] }) },
      { name: 'half', bytes: identityModel({ datatype: 'FP16', shape: [] }) },
      { name: 'large', bytes: identityModel({ shape: ['batch', 'n'] }) },
    ],
    { SLIPWAY_DEFAULT_MODEL: 'two', SLIPWAY_KEEP_ALIVE_SECONDS: '3', SLIPWAY_REQUEST_DEADLINE_SECONDS: '5' },
  );
  onTestFinished(async () => void (await server.stop()));
  const report = await fuzzServer(server, seed, requests);
  console.log(`seed ${seed}: ${JSON.stringify(report)}`);
  await assertStillGood(server);
  if (options.untilClosed) expect(await openConnections(server)).toBe(0);
  expect(server.errors).toEqual([]);
  const [early, end] = report.residentMiB;
  expect(end).toBeLessThan(early + GROWTH_MIB);
  return report;
}

/** Of the inference ports, once the server has noticed that every client is gone: by a ping, where frames were broken. */
async function openConnections({ metricsUrl }: BundledServer): Promise<number> {
  let open = NaN;
  for (let tries = 0; tries < 900 && open !== 0; tries++) {
    await wait(100);
    const text = await (await fetch(`${metricsUrl}/metrics`, { signal: AbortSignal.timeout(20_000) })).text();
    open = [...text.matchAll(/^slipway_connections\{port="(?:http|grpc)"\} (\d+)$/gm)].reduce(
      (sum, [, n]) => sum + Number(n),
      0,
    );
  }
  return open;
}

async function assertStillGood({ url }: BundledServer): Promise<void> {
  const tensor = (name: string, data: readonly number[]): object => ({ name, datatype: 'FP32', shape: [1, 3], data });
  const body = JSON.stringify({ inputs: [tensor('left', [1, 2, 3]), tensor('right', [4, 5, 6])] });
  const signal = AbortSignal.timeout(20_000);
  const headers = { Connection: 'close' };
  const answer = await fetch(`${url}/v2/models/two/infer`, { method: 'POST', headers, body, signal });
  expect(await answer.json()).toMatchObject({ outputs: [{ name: 'sum', data: [5, 7, 9] }, {}] });
  expect((await fetch(`${url}/v2/health/ready`, { headers, signal })).status).toBe(200);
}
