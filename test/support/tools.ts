import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where the gate puts tools that are no dependency of ours. */
const TOOL_FOLDERS = ['.tools/bin', '.tools/node_modules/.bin', 'node_modules/.bin'];

/** The path of a program, or undefined where it is not on the PATH. */
export function toolOnPath(name: string): string | undefined {
  return programIn((process.env['PATH'] ?? '').split(delimiter), name);
}

/** The path of a program on the PATH or among the tools of the gate. */
export function findTool(name: string): string | undefined {
  return toolOnPath(name) ?? programIn(TOOL_FOLDERS, name);
}

function programIn(folders: readonly string[], name: string): string | undefined {
  for (const folder of folders) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      continue;
    }
  }
  return undefined;
}
