import pino, { type Logger } from 'pino';
import type { ServerSettings } from '../spec/environment';

export interface Output {
  readonly log: Logger;
  /** Writes a line that is no log line, in order with the others. */
  readonly writeLine: (line: string) => void;
}

/** JSON lines on standard output. Written at once: a line that waits in memory is lost when the process is killed. */
export function createOutput(settings: Pick<ServerSettings, 'logLevel' | 'serviceName'>): Output {
  const destination = pino.destination({ dest: 1, sync: true });
  const log = pino(
    {
      level: settings.logLevel,
      base: { service: settings.serviceName },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    destination,
  );
  return { log, writeLine: (line) => destination.write(line) };
}
