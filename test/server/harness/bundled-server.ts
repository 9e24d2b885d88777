import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundleServer } from './server-bundle';

export interface BundledServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly grpcUrl: string;
  readonly metricsUrl: string;
  readonly pid: number;
  /** What it logged at level error, and what it wrote to standard error. */
  readonly errors: readonly string[];
  /** Asks it to end. @returns its exit status; null when a signal ended it */
  readonly stop: () => Promise<number | null>;
}

interface Line {
  readonly msg?: string;
  readonly level?: string;
  readonly httpPort?: number;
  readonly grpcPort?: number;
  readonly metricsPort?: number;
}

/**
 * The server as it is shipped, in a process of its own, with version 1 of each model: ready, or not where one of them
 * cannot be served. For suites that share one server; whoever starts it stops it.
 */
export async function startBundledServer(
  models: readonly { readonly name: string; readonly bytes: Uint8Array }[],
  environment: Readonly<Record<string, string>> = {},
): Promise<BundledServer> {
  const folder = mkdtempSync(path.join(tmpdir(), 'slipway-bundled-server-'));
  const repository = path.join(folder, 'models');
  for (const { name, bytes } of models) {
    mkdirSync(path.join(repository, name, '1'), { recursive: true });
    writeFileSync(path.join(repository, name, '1', 'model.onnx'), bytes);
  }
  const child = spawn(process.execPath, [fileURLToPath(await bundleServer())], {
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      SLIPWAY_HTTP_PORT: '0',
      SLIPWAY_GRPC_PORT: '0',
      SLIPWAY_METRICS_PORT: '0',
      SLIPWAY_INTRA_OP_THREADS: '1',
      SLIPWAY_DEREGISTRATION_LAG_SECONDS: '0',
      SLIPWAY_CACHE_DIRECTORY: path.join(folder, 'cache'),
      SLIPWAY_MODEL_REPOSITORY: pathToFileURL(repository).href,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const closed = once(child, 'close').then(([code]) => {
    process.off('exit', kill);
    rmSync(folder, { recursive: true, force: true });
    return code as number | null;
  });
  const errors: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
  const ports = await new Promise<Line>((resolve, reject) => {
    let listening: Line = {};
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as Line;
      if (line.level === 'error') errors.push(text);
      if (line.msg === 'listening') listening = line;
      if (line.msg === 'ready' || line.msg === 'not ready') resolve(listening);
    });
    void closed.then((code) =>
      reject(new Error(`the server ended with ${code} before it was ready: ${errors.join('')}`)),
    );
  });
  const at = (port: number | undefined): string => `http://127.0.0.1:${port}`;
  return {
    url: at(ports.httpPort),
    grpcUrl: at(ports.grpcPort),
    metricsUrl: at(ports.metricsPort),
    pid: child.pid!,
    errors,
    stop: () => {
      child.kill('SIGTERM');
      return closed;
    },
  };
}
