import { createHash } from 'node:crypto';
import type { Preprocessor } from '../preprocess/preprocessor';
import { publishedPreprocessingDigest } from '../preprocess/preprocessing-digest';
import { missingEvidence } from '../spec/missing-evidence';
import type { ModelManifest } from '../spec/model-manifest';
import { MODEL_FILE } from '../spec/model-repository';
import type { FetchedModel } from './fetch-model';
import { ModelError } from './model-error';

/**
 * Refuses a version that nobody has proven: it must have a golden proof, and an evaluation of its very files and preprocessing that
 * passed at least one gate.
 * @param modelFile the file that is opened
 * @throws ModelError saying what is missing and what makes it
 */
export function assertEvidence({ manifest }: Pick<FetchedModel, 'manifest'>, modelFile = MODEL_FILE): void {
  const missing = missingEvidence(manifest, { modelFile, preprocessingSha256: publishedPreprocessingDigest });
  if (missing !== undefined) throw new ModelError(`SLIPWAY_REQUIRE_EVIDENCE is set, and ${missing}`);
}

/** What a manifest says beyond digests and facts, as the Open Inference Protocol has properties of a model: text by name. */
export function evidenceProperties({
  manifest,
  signer,
}: Pick<FetchedModel, 'manifest' | 'signer'>): Readonly<Record<string, string>> {
  if (manifest === undefined) return {};
  const { golden, licence, preprocessing, evaluation, provenance } = manifest;
  return {
    ...(golden === undefined ? {} : { 'slipway.golden': 'proven' }),
    ...(licence === undefined ? {} : { 'slipway.licence': licence }),
    ...(preprocessing === undefined ? {} : { 'slipway.preprocessing': publishedPreprocessingDigest(manifest) }),
    ...(signer === undefined ? {} : { 'slipway.signature': `verified by key sha256:${signer}` }),
    ...(evaluation === undefined ? {} : evaluationProperties(evaluation)),
    ...(provenance === undefined
      ? {}
      : {
          'slipway.provenance': createHash('sha256').update(JSON.stringify(provenance)).digest('hex'),
          'slipway.provenance.source': provenance.source.map(({ sha256 }) => sha256).join(','),
        }),
  };
}

/** What clients may send instead of tensors, where the manifest says how inputs are made of it and nothing stands before that. */
export function userDataProperties(preprocessor: Preprocessor | undefined): Readonly<Record<string, string>> {
  return preprocessor === undefined ? {} : { 'slipway.preprocessing.fields': JSON.stringify(preprocessor.fields) };
}

function evaluationProperties(evaluation: NonNullable<ModelManifest['evaluation']>): Readonly<Record<string, string>> {
  const { task, dataset, preprocessing, metrics, speed, gates, passed, evaluatedAt } = evaluation;
  return {
    'slipway.evaluation': passed ? 'passed' : 'failed',
    'slipway.evaluation.report': JSON.stringify({ task, dataset, preprocessing, metrics, speed, gates, evaluatedAt }),
  };
}
