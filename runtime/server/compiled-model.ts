import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { COMPILED_FOLDER, folderOfTarget, targetOfThisMachine } from '../onnx/compiled-target';
import { MODEL_FILE } from '../spec/model-repository';

interface ListedFile {
  readonly path: string;
  readonly sha256?: string;
}

export interface ChosenFiles<F> {
  /** Without what was compiled for other machines, which nobody here needs to download. */
  readonly files: readonly F[];
  /** The compiled model for this machine, relative to the version's folder. @default - none fits */
  readonly compiled?: string;
}

/** Chooses among what a version has for several kinds of machines. Without a digest of the model nothing compiled can be told to fit it. */
export function chooseCompiled<F extends ListedFile>(
  files: readonly F[],
  modelFile: string,
  onnxRuntime = installedRuntimeVersion(),
): ChosenFiles<F> {
  const portable = files.filter((file) => !file.path.startsWith(`${COMPILED_FOLDER}/`));
  if (portable.length === files.length) return { files };
  const modelSha256 = files.find((file) => file.path === modelFile)?.sha256;
  if (modelSha256 === undefined || onnxRuntime === undefined) return { files: portable };
  const target = targetOfThisMachine({ modelSha256, onnxRuntime });
  if (target === undefined) return { files: portable };
  const folder = folderOfTarget(target);
  const own = files.filter((file) => file.path.startsWith(`${folder}/`));
  const compiled = `${folder}/${MODEL_FILE}`;
  if (!own.some((file) => file.path === compiled)) return { files: portable };
  return { files: [...portable, ...own], compiled };
}

let installed: { readonly version: string | undefined } | undefined;

/** Of the onnxruntime-node that executors load. */
function installedRuntimeVersion(): string | undefined {
  installed ??= { version: readInstalledVersion() };
  return installed.version;
}

function readInstalledVersion(): string | undefined {
  try {
    const file = createRequire(path.join(__dirname, 'here.js')).resolve('onnxruntime-node/package.json');
    return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
  } catch {
    // Without the package no executor starts, and says so.
    return undefined;
  }
}
