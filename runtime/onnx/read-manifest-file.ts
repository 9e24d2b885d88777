import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SpecError } from '../spec/errors';
import type { ModelFile } from '../spec/model-facts';
import { parseManifest, type ModelManifest } from '../spec/model-manifest';
import { MANIFEST_FILE } from '../spec/model-repository';

/** A manifest beside the infrastructure program, with what a service needs to name the model version by digest. */
export interface ManifestFile {
  readonly manifest: ModelManifest;
  /** SHA-256 of the file's bytes, in lower-case hexadecimal. */
  readonly sha256: string;
  /** Every file of the version, `manifest.json` last, as it was written. */
  readonly files: readonly ModelFile[];
}

/**
 * Reads the copy of the manifest that `slipway model publish` left beside the program.
 * @throws SpecError MANIFEST_INVALID naming the file, and the field when there is a wrong one.
 */
export function readManifestFile(path: string): ManifestFile {
  const bytes = readBytes(path);
  const manifest = parseManifest(bytes.toString('utf8'), path);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { manifest, sha256, files: [...manifest.files, { path: MANIFEST_FILE, bytes: bytes.byteLength, sha256 }] };
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'does not exist; slipway model publish writes it' : message;
    throw new SpecError('MANIFEST_INVALID', path, reason);
  }
}
