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

type Labels = NonNullable<ModelManifest['labels']>;

/** Classes of an output that are shown one by one. */
const MAX_CLASSES = 10;

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
  const manifests = [await manifestOf(store, model, first), await manifestOf(store, model, second)] as const;
  const [a, b] = [describe(manifests[0]), describe(manifests[1])];
  const differences = [...new Set([...a.keys(), ...b.keys()])]
    .filter((what) => a.get(what) !== b.get(what))
    .map((what) => ({ what, first: a.get(what), second: b.get(what) }));
  return [...differences, ...diffClasses(manifests[0].labels ?? {}, manifests[1].labels ?? {})];
}

/** Class by class, for a model may have thousands of them, of which one was renamed. */
function diffClasses(a: Labels, b: Labels): readonly VersionDifference[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((output) => {
    const [first, second] = [a, b].map((labels) => (Object.hasOwn(labels, output) ? labels[output] : undefined));
    if (JSON.stringify(first) === JSON.stringify(second)) return [];
    const what = `classes of ${output}`;
    if (!Array.isArray(first) || !Array.isArray(second)) {
      return [{ what, first: shortly(first), second: shortly(second) }];
    }
    const length = Math.max(first.length, second.length);
    const others = Array.from({ length }, (_, i) => i).filter((i) => first[i] !== second[i]);
    const shown = others.slice(0, MAX_CLASSES).map((i) => ({
      what: `class ${i} of ${output}`,
      first: first[i] as string | undefined,
      second: second[i] as string | undefined,
    }));
    if (others.length <= MAX_CLASSES) return shown;
    return [{ what, first: `${first.length}, of which ${others.length} differ`, second: second.length }, ...shown];
  });
}

function shortly(labels: Labels[string] | undefined): string | undefined {
  if (labels === undefined) return undefined;
  return 'file' in labels ? `in ${labels.file}` : `${labels.length} names`;
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
  const { facts, evaluation, preprocessing, licence, files, golden } = manifest;
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
    for (const [field, value] of Object.entries(rule)) {
      found.set(`preprocessing ${input} ${field}`, typeof value === 'string' ? value : JSON.stringify(value));
    }
  }
  for (const { name, tolerance } of golden?.outputs ?? []) found.set(`tolerance ${name}`, JSON.stringify(tolerance));
  if (licence !== undefined) found.set('licence', licence);
  for (const { path, sha256 } of files) found.set(`file ${path}`, `sha256:${sha256}`);
  return found;
}
