import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { SpecError } from '../spec/errors';
import { readModelConfiguration, type ModelConfiguration } from '../spec/model-configuration';
import { CONFIGURATION_FILES } from '../spec/model-repository';
import type { FetchedModel } from './fetch-model';
import { ModelError } from './model-error';

/**
 * The configuration that was published with a model version: a file that its manifest lists, so that its digest has been
 * checked. Nothing else in the folder is read.
 * @returns undefined when there is none.
 * @throws ModelError for one that cannot be read, or that says what one version cannot say.
 */
export async function readPublishedConfiguration({
  folder,
  manifest,
}: Pick<FetchedModel, 'folder' | 'manifest'>): Promise<ModelConfiguration | undefined> {
  if (manifest === undefined) return undefined;
  const listed = new Set(manifest.files.map((file) => file.path));
  const file = CONFIGURATION_FILES.find((name) => listed.has(name));
  if (file === undefined) return undefined;
  const configuration = read(await readFile(path.join(folder, file), 'utf8'), file);
  const { name, ensemble, versionPolicy, versionLabels, weights } = configuration;
  if (name !== undefined && name !== manifest.name) {
    throw new ModelError(`${file}: name must be the model's, '${manifest.name}', or left out; got '${name}'`);
  }
  if (ensemble !== undefined || versionPolicy !== undefined || versionLabels.size + weights.size > 0) {
    throw new ModelError(
      `${file}: ensemble_scheduling, version_policy, version_labels and weights belong beside the versions`,
    );
  }
  return configuration;
}

function read(text: string, file: string): ModelConfiguration {
  try {
    return readModelConfiguration(text, file);
  } catch (error) {
    throw SpecError.is(error) ? new ModelError(error.message) : error;
  }
}
