import pino from 'pino';
import { onTestFinished } from 'vitest';
import type { StartExecutor } from '../../../runtime/server/executor';
import { startHookWorker } from '../../../runtime/server/hooks/hook-thread';
import { buildServer, type InferenceServer } from '../../../runtime/server/server';
import { startWorkerExecutor } from '../../../runtime/server/worker-executor';
import { readEnvironment, writeEnvironment, type ServerSettings } from '../../../runtime/spec/environment';
import { bundleServer } from './server-bundle';
import { temporaryFolder } from './model-repository';

export interface RunningServer {
  readonly server: InferenceServer;
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly grpcPort: number;
  readonly metricsUrl: string;
  /** Log lines so far. */
  readonly log: readonly LogLine[];
  readonly get: (path: string) => Promise<Answer>;
  /** The body is sent as JSON, unless it is text. */
  readonly post: (path: string, body: unknown) => Promise<Answer>;
  readonly infer: (model: string, request: unknown) => Promise<Answer>;
}

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // Tests look into answers of many shapes.
  readonly json: any;
}

export interface StartOptions {
  readonly startExecutor?: StartExecutor;
  /** A worker other than the bundle. */
  readonly workerUrl?: URL;
  /** False returns before models are loaded. @default true */
  readonly load?: boolean;
}

/** The server in this process, on ports of its own, with real worker threads. It is closed with the test. */
export async function startServer(
  settings: Partial<ServerSettings>,
  options: StartOptions = {},
): Promise<RunningServer> {
  const workerUrl = options.workerUrl ?? (await bundleServer());
  const log: LogLine[] = [];
  const server = buildServer({
    settings: {
      ...readEnvironment(
        writeEnvironment({ httpPort: 0, grpcPort: 0, metricsPort: 0, intraOpThreads: 1, deregistrationLagSeconds: 0 }),
      ),
      cacheDirectory: temporaryFolder(),
      ...settings,
    },
    startExecutor: options.startExecutor ?? ((executor) => startWorkerExecutor(workerUrl, executor)),
    startHooks: (hooks) => startHookWorker(workerUrl, hooks),
    log: pino(
      { level: 'debug', formatters: { level: (level) => ({ level }) } },
      { write: (line) => log.push(JSON.parse(line) as LogLine) },
    ),
    writeLine: () => {},
  });
  onTestFinished(() => server.close());
  const { httpPort, grpcPort, metricsPort } = await server.listen();
  if (options.load ?? true) await server.load();
  const url = `http://127.0.0.1:${httpPort}`;
  const post = (path: string, body: unknown): Promise<Answer> =>
    request(`${url}${path}`, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) });
  return {
    server,
    url,
    grpcPort,
    metricsUrl: `http://127.0.0.1:${metricsPort}`,
    log,
    get: (path) => request(`${url}${path}`),
    post,
    infer: (model, body) => post(`/v2/models/${model}/infer`, body),
  };
}

export async function request(url: string, init?: RequestInit): Promise<Answer> {
  const response = await fetch(url, init);
  const text = await response.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: response.status, headers: response.headers, text, json };
}

/** A request of one FP32 tensor. */
export function floats(name: string, shape: readonly number[], data: readonly number[]): unknown {
  return { inputs: [{ name, shape, datatype: 'FP32', data }] };
}
