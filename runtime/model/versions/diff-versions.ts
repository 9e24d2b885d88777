import { parseManifest, type ModelManifest } from '../../spec/model-manifest';
import { assertModelName, MANIFEST_FILE, versionPrefix } from '../../spec/model-repository';
import type { ModelStore } from '../model-store';
import { PublishError } from '../publish-error';

/** One thing that two versions do not have in common; undefined on the side that has it not. */
export interface VersionDifference {
  /** `input pixels`, `operator Gemm`, `metric accuracy`, `file model.onnx`. */
  readonly what: string;
  readonly first: string | number | undefined;
  readonly second: string | number | undefined;
}

/**
 * What tells two published versions of a model apart, by their manifests: signature, operators, sizes, evaluation,
 * preprocessing, labels of classes, licence and files.
 * @throws SpecError for name, version and manifest, PublishError VERSION_UNKNOWN, REPOSITORY_UNREACHABLE
 */
export async function diffVersions(
  store: ModelStore,
  model: string,
  first: number,
  second: number,
): Promise<readonly VersionDifference[]> {
  assertModelName(model, 'model');
  const [a, b] = [describe(await manifestOf(store, model, first)), describe(await manifestOf(store, model, second))];
  return [...new Set([...a.keys(), ...b.keys()])]
    .filter((what) => a.get(what) !== b.get(what))
    .map((what) => ({ what, first: a.get(what), second: b.get(what) }));
}

async function manifestOf(store: ModelStore, model: string, version: number): Promise<ModelManifest> {
  const folder = versionPrefix(model, version);
  const there = await store.read(folder + MANIFEST_FILE);
  if (there !== undefined) return parseManifest(there.content.toString('utf8'), store.uri + folder + MANIFEST_FILE);
  throw new PublishError(
    'VERSION_UNKNOWN',
    store.uri + folder,
    `is not published; versions of ${model} are: ${(await store.versions(model)).toSorted((a, b) => a - b).join(', ') || 'none'}`,
  );
}

/** Everything that may differ, in the order in which people want to read it. */
function describe(manifest: ModelManifest): ReadonlyMap<string, string | number> {
  const { facts, evaluation, preprocessing, labels, licence, files, golden } = manifest;
  const found = new Map<string, string | number>();
  for (const [side, tensors] of [
    ['input', facts.inputs],
    ['output', facts.outputs],
  ] as const) {
    for (const { name, datatype, shape } of tensors) found.set(`${side} ${name}`, `${datatype} [${shape.join(', ')}]`);
  }
  for (const { domain, version } of facts.opsets) found.set(`opset ${domain || 'ai.onnx'}`, version);
  for (const { domain, operator, count } of facts.operators) {
    found.set(`operator ${domain === '' ? '' : `${domain}.`}${operator}`, count);
  }
  found.set('weight bytes', facts.weightBytes);
  found.set('file bytes', facts.fileBytes);
  if (evaluation !== undefined) {
    found.set('evaluation task', evaluation.task);
    found.set('evaluation data', `${evaluation.dataset.name} sha256:${evaluation.dataset.sha256}`);
    for (const [name, value] of Object.entries(evaluation.metrics)) found.set(`metric ${name}`, value);
    for (const [name, value] of Object.entries(evaluation.speed ?? {})) found.set(`speed ${name}`, value);
    found.set('evaluation', evaluation.passed ? 'passed' : 'not passed');
  }
  for (const [input, rule] of Object.entries(preprocessing ?? {})) {
    found.set(`preprocessing ${input}`, JSON.stringify(rule));
  }
  for (const [output, names] of Object.entries(labels ?? {})) found.set(`classes of ${output}`, JSON.stringify(names));
  for (const { name, tolerance } of golden?.outputs ?? []) found.set(`tolerance ${name}`, JSON.stringify(tolerance));
  if (licence !== undefined) found.set('licence', licence);
  for (const { path, sha256 } of files) found.set(`file ${path}`, `sha256:${sha256}`);
  return found;
}
