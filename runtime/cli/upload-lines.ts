import type { OnBytes } from '../model/model-store';
import type { Terminal } from './command';
import { formatBytes } from '../model/quantities';

/** Files that are there at once have no need of lines. */
const WORTH_A_LINE_BYTES = 64 * 1024 * 1024;

/** Says how far each large file is, and what of it an interrupted publish had sent already. */
export function uploadLines(terminal: Pick<Terminal, 'err'>): OnBytes {
  const sent = new Map<string, number>();
  const kept = new Map<string, number>();
  return (path, bytes, wereThere) => {
    if (wereThere) kept.set(path, (kept.get(path) ?? 0) + bytes);
    const total = (sent.get(path) ?? 0) + bytes;
    sent.set(path, total);
    if (total < WORTH_A_LINE_BYTES) return;
    const there = kept.get(path);
    terminal.err(`${path}: ${formatBytes(total)}${there === undefined ? '' : `, ${formatBytes(there)} were there`}`);
  };
}
