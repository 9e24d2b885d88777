import { startEmulator, type Emulator } from '../../runtime/testing/emulator';

/** Starts an emulator of Google Cloud Storage that keeps everything in memory; `program` is the path of `fake-gcs-server`. */
export function startFakeGcsServer(program: string): Promise<Emulator> {
  return startEmulator(
    program,
    (port) => [
      ...['-backend', 'memory', '-scheme', 'http', '-host', '127.0.0.1', '-port', String(port)],
      ...['-public-host', `127.0.0.1:${port}`, '-log-level', 'error'],
    ],
    '/storage/v1/b?project=test',
  );
}
