import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const START_ATTEMPTS = 300;

export interface MotoServer {
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** Starts moto's AWS emulator on a free port of the loopback interface; `program` is the path of `moto_server`. */
export async function startMotoServer(program: string): Promise<MotoServer> {
  const port = await freePort();
  const endpoint = `http://localhost:${port}`;
  const server = spawn(program, ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  const exited = once(server, 'exit');
  for (let attempt = 0; attempt < START_ATTEMPTS; attempt++) {
    if (server.exitCode !== null) throw new Error(`moto_server exited with code ${server.exitCode}`);
    const answer = await fetch(`${endpoint}/moto-api/data.json`).catch(() => undefined);
    if (answer?.ok) {
      return {
        endpoint,
        stop: async () => {
          server.kill();
          await exited;
        },
      };
    }
    await sleep(100);
  }
  server.kill();
  throw new Error(`moto_server did not answer at ${endpoint}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
