import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ModelConfiguration } from '../spec/model-configuration';
import type { FetchedModel } from './fetch-model';
import { ModelError } from './model-error';
import { SourceError } from '../sources/model-source';
import { readSmallFile } from './repository/read-small-file';
import { childUri } from '../sources/source-of';

/** The largest vocabularies have some hundred thousand classes. */
const MAX_FILE_BYTES = 64 * 2 ** 20;

/**
 * Reads the names of classes that a configuration's `label_filename` point to: one per line, the first for index 0.
 * @param modelFolder Where the files lie, as Triton has them, with a closing slash; undefined when the model comes without
 * its folder.
 * @returns by output.
 * @throws ModelError when one cannot be read.
 */
export async function readClassLabels(
  configuration: ModelConfiguration | undefined,
  modelFolder: string | undefined,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const labels = new Map<string, readonly string[]>();
  for (const { name, labelFilename } of configuration?.outputs ?? []) {
    if (labelFilename !== undefined) labels.set(name, await readLabels(labelFilename, modelFolder, signal));
  }
  return labels;
}

async function readLabels(
  file: string,
  modelFolder: string | undefined,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const failed = (reason: string): ModelError => new ModelError(`label file '${file}' cannot be read: ${reason}`);
  if (modelFolder === undefined) throw failed('the model comes without its folder');
  let bytes: Buffer | undefined;
  try {
    bytes = await readSmallFile(childUri(modelFolder, file), MAX_FILE_BYTES, signal);
  } catch (error) {
    throw error instanceof SourceError ? failed(error.message) : error;
  }
  if (bytes === undefined) throw failed('it is not there');
  return linesOf(bytes);
}

/**
 * Names of classes that the manifest of a model version has, or files of the version that it names.
 * @returns by output.
 */
export async function readPublishedLabels({
  folder,
  manifest,
}: Pick<FetchedModel, 'folder' | 'manifest'>): Promise<ReadonlyMap<string, readonly string[]>> {
  const labels = new Map<string, readonly string[]>();
  for (const [output, names] of Object.entries(manifest?.labels ?? {})) {
    labels.set(output, 'file' in names ? linesOf(await readFile(path.join(folder, names.file))) : names);
  }
  return labels;
}

function linesOf(bytes: Buffer): readonly string[] {
  const lines = bytes.toString('utf8').split(/\r?\n/);
  // The file ends with a line break, and no class has an empty name.
  while (lines.at(-1) === '') lines.pop();
  return lines;
}
