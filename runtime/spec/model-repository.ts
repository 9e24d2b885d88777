import { SpecError } from './errors';

/**
 * The model repository layout: `<uri>/<model>/<version>/model.onnx`, beside it `manifest.json` and what the
 * manifest lists. The layout is Triton's, so a Triton repository is served as it is.
 */
export const MODEL_FILE = 'model.onnx';
export const MANIFEST_FILE = 'manifest.json';
/** Beside a manifest: the signature of its bytes, in Base64, as `cosign sign-blob` writes it. */
export const SIGNATURE_FILE = 'manifest.json.sig';
/** Beside a manifest: what the version is made of, in CycloneDX's JSON; listed in the manifest like every file. */
export const SBOM_FILE = 'sbom.cdx.json';
/**
 * What a model's author decided about it, in Triton's text format or as JSON: beside the versions, or in the folder of one
 * whose manifest lists it.
 */
export const CONFIGURATION_FILES = ['config.pbtxt', 'config.json'] as const;
/** In a version's folder: the module that runs before and after the model, where hooks are on for all models. */
export const HOOKS_FILE = 'hooks.mjs';
/** Beside the versions of a model: names for versions and how many of 100 requests each gets. Wins over the configuration. */
export const VERSION_LABELS_FILE = 'version-labels.json';
/** Beside the versions of a model: what steps of pipelines left, in a folder for each run. No version has such a name. */
export const PIPELINE_RUNS_FOLDER = '_runs/';
/** At the top of a model repository in an object store: what `slipway model publish` has put there. */
export const REPOSITORY_INDEX_FILE = 'slipway-index.json';

// Names travel through URLs, object keys, metric labels and Kubernetes annotations: letters, digits, dot, dash, underscore.
const MODEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export function assertModelName(name: string, path: string): void {
  if (!MODEL_NAME.test(name)) {
    throw new SpecError(
      'MODEL_NAME_INVALID',
      path,
      `must be 1 to 128 letters, digits, '.', '_' or '-' and begin with a letter or digit, got '${name}'`,
    );
  }
}

export function assertModelVersion(version: number, path: string): void {
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new SpecError('MODEL_VERSION_INVALID', path, `must be a whole number from 1 up, got ${String(version)}`);
  }
}

/** A model's own prefix inside its repository, with the closing slash: what a grant names. */
export function modelPrefix(model: string): string {
  assertModelName(model, 'model');
  return `${model}/`;
}

/** The folder of one model version, with the closing slash. */
export function versionPrefix(model: string, version: number): string {
  assertModelVersion(version, 'version');
  return `${modelPrefix(model)}${version}/`;
}

/** `12` for a version folder called `12`, undefined for any other name. `012` and `0` are no versions. */
export function parseVersionFolder(name: string): number | undefined {
  if (!/^[1-9][0-9]*$/.test(name)) return undefined;
  const version = Number(name);
  return Number.isSafeInteger(version) ? version : undefined;
}
