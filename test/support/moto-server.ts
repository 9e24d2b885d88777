import { startEmulator } from './emulator';

export interface MotoServer {
  readonly endpoint: string;
  readonly stop: () => Promise<void>;
}

/** Starts moto's AWS emulator on a free port of the loopback interface; `program` is the path of `moto_server`. */
export async function startMotoServer(program: string): Promise<MotoServer> {
  const { port, stop } = await startEmulator(
    program,
    (free) => ['-H', '127.0.0.1', '-p', String(free)],
    '/moto-api/data.json',
  );
  return { endpoint: `http://localhost:${port}`, stop };
}
