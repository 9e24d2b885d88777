import { writeFile } from 'node:fs/promises';
import path from 'node:path';

/**
 * Writes a report or a page beside what a command made, whole or not at all, and replaces what is there.
 * @throws ModelToolError OUTPUT_EXISTS for what is no file, OUTPUT_UNWRITABLE
 */
export async function replaceFile(file: string, text: string): Promise<void> {
  const { writeOutput } = await import('../model/write-output.js');
  await writeOutput(file, { overwrite: true }, (folder) => writeFile(path.join(folder, path.basename(file)), text));
}
