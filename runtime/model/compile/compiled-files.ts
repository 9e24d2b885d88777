import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { COMPILED_FOLDER, folderOfTarget, parseTarget, TARGET_FILE } from '../../onnx/compiled-target';
import type { OnnxModel } from '../../onnx/read-onnx-model';
import { MODEL_FILE } from '../../spec/model-repository';
import { digestPath } from '../digest-path';
import type { StoredFile } from '../model-store';
import { PublishError } from '../publish-error';

/**
 * What `compileModel` left beside a model, for its version.
 * @throws PublishError COMPILED_STALE for what was compiled from another model, FILE_UNREADABLE
 */
export async function readCompiledFiles(
  source: string,
  { files }: Pick<OnnxModel, 'files'>,
): Promise<readonly StoredFile[]> {
  const folder = path.join(path.dirname(source), COMPILED_FOLDER);
  if (path.basename(source) !== MODEL_FILE || !existsSync(folder)) return [];
  const targets = readdirSync(folder).filter((name) => /^[0-9a-f]{16}$/.test(name));
  const found = await Promise.all(targets.map((name) => filesOfTarget(path.join(folder, name), files[0]!.sha256)));
  return found.flat();
}

async function filesOfTarget(folder: string, modelSha256: string): Promise<readonly StoredFile[]> {
  const target = parseTarget(read(path.join(folder, TARGET_FILE)));
  if (target === undefined)
    throw new PublishError('FILE_UNREADABLE', path.join(folder, TARGET_FILE), 'is no target of model compile');
  if (target.modelSha256 !== modelSha256 || path.basename(folderOfTarget(target)) !== path.basename(folder)) {
    throw new PublishError(
      'COMPILED_STALE',
      folder,
      `was compiled from a model with SHA-256 ${target.modelSha256}, and this one has ${modelSha256}: compile it again, or remove the folder`,
    );
  }
  return Promise.all(
    readdirSync(folder).map(async (name) => {
      const localPath = path.join(folder, name);
      const place = `${COMPILED_FOLDER}/${path.basename(folder)}/${name}`;
      return { path: place, bytes: statSync(localPath).size, sha256: await digestPath(localPath), localPath };
    }),
  );
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new PublishError('FILE_UNREADABLE', file, (error as Error).message);
  }
}
