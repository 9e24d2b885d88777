import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { addOneModel, identityModel } from '../support/onnx-models';
import { publishedRepository, temporaryFolder } from '../server/harness/model-repository';
import { startServer } from '../server/harness/running-server';

interface Outcome {
  readonly hookStatus: string;
  readonly lines: readonly { readonly model: string; readonly passed: boolean; readonly failure?: string }[];
}

/** What Lambda would load: the built file, and the environment that a deployment writes. */
let built: string;
beforeAll(async () => {
  const { bundleSmokeTest } = (await import(pathToFileURL(path.join(process.cwd(), 'scripts/build.mjs')).href)) as {
    bundleSmokeTest: (folder: string) => Promise<void>;
  };
  built = mkdtempSync(path.join(tmpdir(), 'slipway-smoke-test-'));
  await bundleSmokeTest(built);
});

async function ask(target: string, models: unknown, remainingMs = 30_000): Promise<Outcome> {
  const { handler } = (await import(pathToFileURL(path.join(built, 'index.mjs')).href)) as {
    handler: (event: unknown, context: { getRemainingTimeInMillis(): number }) => Promise<{ hookStatus: string }>;
  };
  const written: string[] = [];
  const output = vi.spyOn(process.stdout, 'write').mockImplementation((line) => written.push(String(line)) > 0);
  const { TARGET, MODELS } = process.env;
  Object.assign(process.env, { TARGET: target, MODELS: JSON.stringify(models) });
  try {
    const { hookStatus } = await handler({}, { getRemainingTimeInMillis: () => remainingMs });
    return { hookStatus, lines: written.map((line) => JSON.parse(line) as Outcome['lines'][number]) };
  } finally {
    output.mockRestore();
    Object.assign(process.env, { TARGET, MODELS });
  }
}

const SAME = identityModel();
const ONE_MORE = addOneModel();

function describe(repository: string, name = 'same'): { name: string; version: string; folder: string } {
  return { name, version: '1', folder: `${pathToFileURL(path.join(repository, name, '1')).href}/` };
}

test('a revision that gives the golden answer passes', async () => {
  const repository = await publishedRepository('same', SAME);
  const { url } = await startServer({ modelRepository: repository });
  expect(await ask(url, [describe(repository)])).toEqual({
    hookStatus: 'SUCCEEDED',
    lines: [{ model: 'same', version: '1', passed: true }],
  });
});

test('a revision that answers something else fails, and the line says where', async () => {
  const promised = await publishedRepository('same', SAME);
  const served = await publishedRepository('same', ONE_MORE);
  const { url } = await startServer({ modelRepository: served });
  const { hookStatus, lines } = await ask(url, [describe(promised)]);
  expect(hookStatus).toBe('FAILED');
  expect(lines[0]!.failure).toMatch(/^output '\w+': element \d+ is .*, expected /);
});

test('one wrong model of two fails the deployment, and both are asked', async () => {
  const promised = await publishedRepository('same', SAME);
  const { url } = await startServer({ modelRepository: promised });
  const { hookStatus, lines } = await ask(url, [describe(promised, 'absent'), describe(promised)]);
  expect(hookStatus).toBe('FAILED');
  expect(lines.map(({ passed }) => passed)).toEqual([false, true]);
});

test('a manifest or a golden file that is not the one deployed fails', async () => {
  const repository = await publishedRepository('same', SAME);
  const { url } = await startServer({ modelRepository: repository });
  const bytes = readFileSync(path.join(repository, 'same/1/manifest.json'));
  const manifestSha256 = createHash('sha256').update(bytes).digest('hex');
  const model = describe(repository);
  expect((await ask(url, [{ ...model, manifestSha256 }])).hookStatus).toBe('SUCCEEDED');
  const { hookStatus, lines } = await ask(url, [{ ...model, manifestSha256: '0'.repeat(64) }]);
  expect(hookStatus).toBe('FAILED');
  expect(lines[0]!.failure).toContain(`manifest.json hashes to ${manifestSha256}`);
});

test('files that lie apart are found by their own addresses', async () => {
  const repository = await publishedRepository('same', SAME);
  const { url } = await startServer({ modelRepository: repository });
  const folder = path.join(repository, 'same', '1');
  const files = Object.fromEntries(
    ['manifest.json', 'golden/input-0.bin', 'golden/output-0.bin'].map((file) => [
      file,
      pathToFileURL(path.join(folder, file)).href,
    ]),
  );
  expect((await ask(url, [{ name: 'same', version: '1', files }])).hookStatus).toBe('SUCCEEDED');
});

test('a model without a golden proof must answer zeros of its own shapes', async () => {
  const repository = await publishedRepository('same', SAME);
  const { url } = await startServer({ modelRepository: repository });
  expect((await ask(url, [{ name: 'same', version: '1', files: {} }])).hookStatus).toBe('SUCCEEDED');
  expect((await ask(url, [{ name: 'other', version: '1', files: {} }])).hookStatus).toBe('FAILED');
});

test('a revision that is still starting is asked again, and one that never answers fails before the time is up', async () => {
  let left = 2;
  const repository = await publishedRepository('same', SAME);
  const { url } = await startServer({ modelRepository: repository });
  const starting = createServer((request, response) => {
    if (left-- > 0) return void response.writeHead(503).end();
    void fetch(`${url}${request.url}`, {
      method: request.method!,
      headers: request.headers as Record<string, string>,
      ...(request.method === 'POST' ? { body: request as never, duplex: 'half' } : {}),
    }).then(async (answer) => {
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      response.end(Buffer.from(await answer.arrayBuffer()));
    });
  });
  const silent = createServer(() => {});
  const addressOf = async (server: typeof silent): Promise<string> => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  expect((await ask(await addressOf(starting), [describe(repository)])).hookStatus).toBe('SUCCEEDED');
  const { hookStatus, lines } = await ask(await addressOf(silent), [describe(repository)], 2_500);
  expect(hookStatus).toBe('FAILED');
  expect(lines[0]!.failure).toBe('no answer in the time that the test may take');
});

test('a file that is missing fails, and says which', async () => {
  const { url } = await startServer({ modelRepository: await publishedRepository('same', SAME) });
  const { hookStatus, lines } = await ask(url, [describe(temporaryFolder())]);
  expect(hookStatus).toBe('FAILED');
  expect(lines[0]!.failure).toContain('manifest.json');
});
