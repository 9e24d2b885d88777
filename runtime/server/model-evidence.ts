import { createHash } from 'node:crypto';
import type { ModelManifest } from '../spec/model-manifest';
import { MODEL_FILE } from '../spec/model-repository';
import type { FetchedModel } from './fetch-model';
import { ModelError } from './model-error';

/**
 * Refuses a version that nobody has proven: it must have a golden proof, and an evaluation of its very files that passed at
 * least one gate.
 * @param modelFile the file that is opened
 * @throws ModelError saying what is missing and what makes it
 */
export function assertEvidence({ manifest }: Pick<FetchedModel, 'manifest'>, modelFile = MODEL_FILE): void {
  const refuse = (reason: string): never => {
    throw new ModelError(`SLIPWAY_REQUIRE_EVIDENCE is set, and ${reason}`);
  };
  if (manifest === undefined) return refuse('the version has no manifest: publish it with slipway model publish');
  const { golden, evaluation } = manifest;
  if (golden === undefined) return refuse('it was published without a golden proof: leave --no-golden out');
  if (evaluation === undefined) {
    return refuse('nobody evaluated it: slipway model evaluate, and publish with --evaluation');
  }
  if (!coversModel(manifest, modelFile))
    return refuse('its evaluation is not of every file of this model: evaluate it again');
  if (evaluation.gates.length === 0)
    return refuse('its evaluation was held to no gate: evaluate it with --min-accuracy or another');
  const failed = evaluation.gates.find(({ passed }) => !passed);
  if (failed !== undefined)
    refuse(`its evaluation failed: ${failed.metric} is ${failed.value}, the limit is ${failed.limit}`);
}

/** The manifest holds every file that it lists to its digest, so what the evaluation names is what lies here. */
function coversModel({ evaluation, files, facts }: ModelManifest, modelFile: string): boolean {
  const covered = new Map(evaluation?.model.map(({ path, sha256 }) => [path, sha256]));
  const evaluated = files.filter(({ path, sha256 }) => covered.get(path) === sha256);
  const bytes = evaluated.reduce((sum, file) => sum + file.bytes, 0);
  return evaluated.some(({ path }) => path === modelFile) && bytes === facts.fileBytes;
}

/** What a manifest says beyond digests and facts, as the Open Inference Protocol has properties of a model: text by name. */
export function evidenceProperties({
  manifest,
  signer,
}: Pick<FetchedModel, 'manifest' | 'signer'>): Readonly<Record<string, string>> {
  if (manifest === undefined) return {};
  const { golden, licence, evaluation, provenance } = manifest;
  return {
    ...(golden === undefined ? {} : { 'slipway.golden': 'proven' }),
    ...(licence === undefined ? {} : { 'slipway.licence': licence }),
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

function evaluationProperties(evaluation: NonNullable<ModelManifest['evaluation']>): Readonly<Record<string, string>> {
  const { task, dataset, metrics, speed, gates, passed, evaluatedAt } = evaluation;
  return {
    'slipway.evaluation': passed ? 'passed' : 'failed',
    'slipway.evaluation.report': JSON.stringify({ task, dataset, metrics, speed, gates, evaluatedAt }),
  };
}
