import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const START_ATTEMPTS = 300;

export interface Emulator {
  readonly port: number;
  readonly stop: () => Promise<void>;
}

/** Starts a program that emulates a cloud on a free port of the loopback interface, and waits until it answers there. */
export async function startEmulator(
  program: string,
  args: (port: number) => readonly string[],
  healthPath: string,
  protocol: 'http' | 'https' = 'http',
): Promise<Emulator> {
  const port = await freePort();
  const server = spawn(program, args(port), { stdio: 'ignore' });
  const exited = once(server, 'exit');
  // Whoever forgets to stop it, or fails before, leaves nothing behind.
  const kill = (): unknown => server.kill();
  process.once('exit', kill);
  const stop = async (): Promise<void> => {
    process.off('exit', kill);
    server.kill();
    await exited;
  };
  for (let attempt = 0; attempt < START_ATTEMPTS; attempt++) {
    if (server.exitCode !== null) throw new Error(`${program} exited with code ${server.exitCode}`);
    // Any answer will do; to TLS of an authority that nobody knows, an error of TLS is one.
    const answer = await fetch(`${protocol}://127.0.0.1:${port}${healthPath}`).catch((error: Error) => error);
    if (answer instanceof Response || /CERT|SELF_SIGNED|UNABLE_TO/.test(codeOf(answer))) return { port, stop };
    await sleep(100);
  }
  await stop();
  throw new Error(`${program} did not answer on port ${port}`);
}

function codeOf({ cause }: Error): string {
  return String((cause as NodeJS.ErrnoException | undefined)?.code);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
