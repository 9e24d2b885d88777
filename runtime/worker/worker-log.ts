export type WorkerLog = (
  level: 'info' | 'warn' | 'error',
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

/** JSON lines of the server's shape, so that both read as one log. Nothing of a message's content is ever in them. */
export function workerLog(write: (line: string) => void): WorkerLog {
  return (level, message, fields = {}) =>
    write(`${JSON.stringify({ level, time: new Date().toISOString(), ...fields, msg: message })}\n`);
}
