import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { readOnnxModel } from '../onnx/read-onnx-model';
import type { ModelSpec } from '../spec/inference-service-spec';
import { parseManifest } from '../spec/model-manifest';
import { MANIFEST_FILE } from '../spec/model-repository';
import { CliError } from './cli-error';

/**
 * A model version from the manifest that `slipway model publish` wrote: its facts, and every file by digest, the
 * manifest included.
 */
export function modelFromManifest(file: string): Required<Pick<ModelSpec, 'name' | 'version' | 'facts' | 'files'>> {
  const bytes = readManifest(file);
  const { name, version, facts, files } = parseManifest(bytes.toString('utf8'), file);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { name, version, facts, files: [...files, { path: MANIFEST_FILE, bytes: bytes.byteLength, sha256 }] };
}

/** A model version from the ONNX file itself: what it is, before it is published anywhere. */
export function modelFromFile(file: string): Required<Pick<ModelSpec, 'name' | 'version' | 'facts' | 'files'>> {
  const { facts, files } = readOnnxModel(file);
  return {
    name: path.basename(file, path.extname(file)),
    version: 1,
    facts,
    files: files.map(({ path: name, bytes, sha256 }) => ({ path: name, bytes, sha256 })),
  };
}

function readManifest(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new CliError(
      `${file}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : (error as Error).message}`,
    );
  }
}
