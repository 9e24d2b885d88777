import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** `e_machine` of an ELF header → Docker's name of the processor. */
const MACHINES: Readonly<Record<number, string>> = { 62: 'amd64', 183: 'arm64' };

/** Each ELF file below a folder → the processor that it is made for. */
export function nativeFiles(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  return Object.fromEntries(
    files.flatMap((file) => {
      const bytes = readFileSync(file);
      if (bytes.toString('latin1', 0, 4) !== '\x7fELF') return [];
      return [[path.relative(folder, file), MACHINES[bytes.readUInt16LE(18)] ?? 'another']];
    }),
  );
}
