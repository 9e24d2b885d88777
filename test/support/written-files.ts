import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

const root = mkdtempSync(join(tmpdir(), 'slipway-test-'));
afterAll(() => rmSync(root, { recursive: true }));

/** A folder of its own for one case; it is gone when the tests of the file that asks for it are over. */
export function emptyFolder(): string {
  return mkdtempSync(join(root, 'case-'));
}

/** Writes a file into a folder of its own and gives its path. */
export function written(content: Uint8Array | string, name = 'model.onnx'): string {
  const path = join(emptyFolder(), name);
  writeFileSync(path, content);
  return path;
}
