import * as pulumi from '@pulumi/pulumi';
import { resolveModel, type ModelSource } from '../runtime/onnx/resolve-model';
import { versionPrefix, type ModelSpec } from '../runtime/spec';
import { lateString, OUTPUTS, type LateString } from './late-bound';
import { isRefusal } from './refusal';

/** A model version and where its files lie. */
export interface Model extends ModelSpec {
  /** URI of the version's folder, with the closing slash: `s3://team-models/digits/1/`. */
  readonly folder: LateString;
}

/**
 * A model in a model repository that this program does not create.
 * @throws pulumi.RunError when the file or the manifest cannot be read, or the manifest is another model's.
 *
 * @example
 * const digits = modelAt('s3://team-models', 'digits', { manifest: 'manifest.json' });
 */
export function modelAt(repositoryUri: pulumi.Input<string>, name: string, source: ModelSource): Model {
  try {
    return locateModel(repositoryUri, name, source);
  } catch (error) {
    throw isRefusal(error) ? new pulumi.RunError(error.message) : error;
  }
}

/** @internal */
export function locateModel(repositoryUri: pulumi.Input<string>, name: string, source: ModelSource): Model {
  const spec = resolveModel(name, source);
  return {
    ...spec,
    folder: OUTPUTS.concat([withoutTrailingSlash(repositoryUri), `/${versionPrefix(name, spec.version)}`]),
  };
}

function withoutTrailingSlash(uri: pulumi.Input<string>): LateString {
  const late = lateString(uri);
  return typeof late === 'string' ? late.replace(/\/+$/, '') : late.apply((known) => known.replace(/\/+$/, ''));
}
