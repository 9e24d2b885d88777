import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { publishModel } from '../../../runtime/model/publish-model';

/** An empty folder that goes away with the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'slipway-server-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A model repository without manifests, as Triton's are: version 1 of each model. */
export function plainRepository(models: Readonly<Record<string, Uint8Array>>): string {
  const repository = temporaryFolder();
  for (const [name, bytes] of Object.entries(models)) {
    mkdirSync(path.join(repository, name, '1'), { recursive: true });
    writeFileSync(path.join(repository, name, '1', 'model.onnx'), bytes);
  }
  return repository;
}

/** A model repository with one published model: manifest, digests and golden proof. */
export async function publishedRepository(name: string, model: Uint8Array | string): Promise<string> {
  const repository = temporaryFolder();
  let source = model;
  if (typeof source !== 'string') {
    source = path.join(temporaryFolder(), 'model.onnx');
    writeFileSync(source, model);
  }
  await publishModel({ source, name, repository });
  return repository;
}
