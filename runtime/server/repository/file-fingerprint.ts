import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Asking } from '../find-models';
import type { ModelSource } from '../../sources/model-source';
import { childUri, sourceOf } from '../../sources/source-of';

/** Deeper and larger version folders than any exporter writes; beyond them a change may go unnoticed. */
const MAX_DEPTH = 4;
const MAX_FILES = 10_000;

/**
 * What tells a folder from what it was before: names, sizes and times of its files, or their ETags. Two of the same, a poll
 * apart, mean that nobody is copying into it any more.
 * @throws SourceError
 */
export async function fingerprintOfFolder(source: ModelSource, folder: string, { signal }: Asking): Promise<string> {
  const files: string[] = [];
  const visit = async (uri: string, path: string, depth: number): Promise<void> => {
    for (const { name, isFolder } of await source.list(uri, signal)) {
      if (files.length >= MAX_FILES) return;
      if (isFolder) {
        if (depth < MAX_DEPTH) await visit(`${childUri(uri, name)}/`, `${path}${name}/`, depth + 1);
        continue;
      }
      const { bytes, tag } = await source.stat(childUri(uri, name), signal);
      files.push(`${path}${name} ${bytes} ${tag}`);
    }
  };
  await visit(folder, '', 0);
  return files.sort().join('\n');
}

/** Whether a file of a folder of this machine was written in the last seconds, or, by another clock, will be. */
export async function wasJustWritten(folder: string, seconds: number, { signal }: Asking): Promise<boolean> {
  const local = sourceOf(folder).localPath?.(folder);
  if (local === undefined) return false;
  signal.throwIfAborted();
  const names = await readdir(local, { recursive: true }).catch(() => []);
  const times = await Promise.all(
    names
      .slice(0, MAX_FILES)
      .map(async (name) => (await stat(path.join(local, name)).catch(() => undefined))?.mtimeMs ?? 0),
  );
  return Date.now() - Math.max(0, ...times) < seconds * 1_000;
}
