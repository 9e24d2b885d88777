import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { directoryModelStore } from '../../runtime/model/directory-model-store';
import type { StoredFile } from '../../runtime/model/model-store';
import { PublishError, type PublishErrorCode } from '../../runtime/model/publish-error';
import { publishModel } from '../../runtime/model/publish-model';
import { collectGarbage } from '../../runtime/model/versions/collect-garbage';
import { emptyFolder, written } from '../support/written-files';
import { refusal } from './refusal';

const DIGITS = 'models/digits/model.onnx';

describe('publishing to a directory', () => {
  const stored = (path: string, content: Uint8Array): StoredFile => ({
    path,
    bytes: content.byteLength,
    sha256: createHash('sha256').update(content).digest('hex'),
    content,
  });
  const manifest = stored('manifest.json', Buffer.from('{}'));

  test('leaves nothing behind, above all no manifest, when a file changes on the way', async () => {
    const repository = emptyFolder();
    const { path, bytes, sha256 } = stored('weights.bin', Buffer.from('as it was'));
    const changed: StoredFile = { path, bytes, sha256, localPath: written('as it is!') };
    const store = directoryModelStore(repository);
    const error = await refusal(store.write('m', 1, [stored('model.onnx', Buffer.from('model')), changed], manifest));
    expect(error.code).toBe<PublishErrorCode>('FILE_CHANGED');
    expect(readdirSync(join(repository, 'm'))).toEqual([]);
  });

  test('removes what a killed publish has left a day ago, and nothing that somebody writes to', async () => {
    const repository = emptyFolder();
    const day = 86_400_000;
    const begun = (name: string, ages: Record<string, number>): void => {
      const folder = join(repository, 'm', name);
      mkdirSync(join(folder, 'golden'), { recursive: true });
      for (const [file, age] of Object.entries(ages)) {
        if (!existsSync(join(folder, file))) writeFileSync(join(folder, file), 'half');
        utimesSync(join(folder, file), new Date(Date.now() - age), new Date(Date.now() - age));
      }
    };
    const left = { 'model.onnx': 2 * day, 'golden/input-0.bin': 2 * day, golden: 2 * day, '.': 2 * day };
    begun('.publishing-killed', left);
    begun('.publishing-slow', { ...left, 'model.onnx': 60_000 });
    begun('.other', left);
    const store = directoryModelStore(repository);
    await store.write('m', 1, [stored('model.onnx', Buffer.from('model'))], manifest);
    expect(readdirSync(join(repository, 'm')).sort()).toEqual(['.other', '.publishing-slow', '1']);
    begun('.publishing-slow', left);
    await collectGarbage(store, {});
    expect(readdirSync(join(repository, 'm'))).toContain('.publishing-slow');
    await collectGarbage(store, { delete: true });
    expect(readdirSync(join(repository, 'm')).sort()).toEqual(['.other', '1']);
  });

  test('lets exactly one of several publishers have a version', async () => {
    const repository = emptyFolder();
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) =>
        directoryModelStore(repository).write('m', 1, [stored('model.onnx', Buffer.from(`model ${i}`))], manifest),
      ),
    );
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused).toHaveLength(7);
    expect(refused.every(({ reason }) => PublishError.is(reason) && reason.code === 'VERSION_EXISTS')).toBe(true);
    expect(readdirSync(join(repository, 'm'))).toEqual(['1']);
  });

  test('says so when the directory cannot be written', async () => {
    const file = written('a file, no folder');
    const error = await refusal(publishModel({ source: DIGITS, name: 'digits', repository: file, golden: false }));
    expect(error.code).toBe<PublishErrorCode>('REPOSITORY_UNREACHABLE');
    expect(error.message).toContain('ENOTDIR');
  });
});
