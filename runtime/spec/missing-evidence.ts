import { MODEL_FILE } from './model-repository';
import type { ModelManifest } from './model-manifest';

export interface EvidenceChoices {
  /** The file that is opened. @default 'model.onnx' */
  readonly modelFile?: string;
  /** Digest of the preprocessing of a manifest that has some, with the files that it names. */
  readonly preprocessingSha256: (manifest: ModelManifest) => string;
}

/**
 * What a version lacks of what `requireEvidence` asks for: a golden proof, and an evaluation of its very files, with the very
 * preprocessing that it is served with, that was held to at least one gate and passed all.
 * @param manifest undefined for a version that has none
 * @returns what is missing and what makes it, as the end of a sentence; undefined where nothing is missing
 */
export function missingEvidence(
  manifest: ModelManifest | undefined,
  { modelFile = MODEL_FILE, preprocessingSha256 }: EvidenceChoices,
): string | undefined {
  if (manifest === undefined) return 'the version has no manifest: publish it with slipway model publish';
  const { golden, evaluation, preprocessing } = manifest;
  if (golden === undefined) return 'it was published without a golden proof: leave --no-golden out';
  if (evaluation === undefined) return 'nobody evaluated it: slipway model evaluate, and publish with --evaluation';
  if (!coversModel(manifest, modelFile)) return 'its evaluation is not of every file of this model: evaluate it again';
  const measured = evaluation.preprocessing?.sha256;
  if (measured !== (preprocessing === undefined ? undefined : preprocessingSha256(manifest))) {
    return measured === undefined
      ? 'its evaluation was not measured with its preprocessing: evaluate rows as users have them, with --preprocessing'
      : 'its evaluation was measured with another preprocessing: evaluate it again, with --preprocessing';
  }
  if (evaluation.gates.length === 0) {
    return 'its evaluation was held to no gate: evaluate it with --min-accuracy or another';
  }
  const failed = evaluation.gates.find(({ passed }) => !passed);
  if (failed === undefined) return undefined;
  return `its evaluation failed: ${failed.metric} is ${failed.value}, the limit is ${failed.limit}`;
}

/** The manifest holds every file that it lists to its digest, so what the evaluation names is what lies here. */
function coversModel({ evaluation, files, facts }: ModelManifest, modelFile: string): boolean {
  const covered = new Map(evaluation?.model.map(({ path, sha256 }) => [path, sha256]));
  const evaluated = files.filter(({ path, sha256 }) => covered.get(path) === sha256);
  const bytes = evaluated.reduce((sum, file) => sum + file.bytes, 0);
  return evaluated.some(({ path }) => path === modelFile) && bytes === facts.fileBytes;
}
