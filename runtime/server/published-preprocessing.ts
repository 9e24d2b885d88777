import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { PreprocessError } from '../preprocess/preprocess-error';
import { Preprocessor } from '../preprocess/preprocessor';
import { describeField, type RefuseField } from '../spec/manifest-fields';
import type { TensorSignature } from '../spec/model-facts';
import { checkPreprocessing } from '../spec/preprocessing';
import type { FetchedModel } from './fetch-model';
import { ModelError } from './model-error';

/**
 * What makes inputs of users' pictures, text and records, as the manifest of a model version says. The files that it names are
 * listed there, so their digests have been checked.
 * @param inputs what clients see of the model, which its configuration may have changed
 * @returns undefined where the manifest says nothing of it.
 * @throws ModelError for preprocessing that cannot be used.
 */
export async function openPreprocessor(
  { folder, manifest }: Pick<FetchedModel, 'folder' | 'manifest'>,
  inputs: readonly TensorSignature[],
): Promise<Preprocessor | undefined> {
  const preprocessing = manifest?.preprocessing;
  if (manifest === undefined || preprocessing === undefined) return undefined;
  const files = new Set(manifest.files.map((file) => file.path));
  const refuse: RefuseField = (field, expected, got) => {
    throw new ModelError(`${field} must be ${expected}, got ${describeField(got)}`);
  };
  checkPreprocessing(preprocessing, 'preprocessing', inputs, (file) => files.has(file), refuse);
  try {
    return await Preprocessor.open({
      preprocessing,
      inputs,
      readFile: (file) => readFile(path.join(folder, file)),
    });
  } catch (error) {
    throw PreprocessError.is(error) ? new ModelError(`its preprocessing cannot be used: ${error.message}`) : error;
  }
}
