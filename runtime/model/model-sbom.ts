import { createHash } from 'node:crypto';
import type { ModelManifest } from '../spec/model-manifest';
import { MODEL_FILE } from '../spec/model-repository';

/** Names that CycloneDX 1.6 takes for what a model learned to do; others are left out. */
const APPROACHES: Readonly<Record<string, string>> = {
  classification: 'supervised',
  regression: 'supervised',
  detection: 'supervised',
};

type Json = Readonly<Record<string, unknown>>;

/**
 * What a model version is made of, as a bill of materials in CycloneDX 1.6
 * (https://cyclonedx.org/docs/1.6/json/): the model with its files, licence and figures, the data that it was measured on and made
 * from, and the tools of every step. The same version gives the same bytes, so an interrupted publish finds its own again.
 */
export function modelSbom(manifest: Omit<ModelManifest, 'schema'>): string {
  const { name, version, files, provenance, evaluation } = manifest;
  const model = files.find(({ path }) => path === MODEL_FILE)!;
  const purl = `pkg:generic/${encodeURIComponent(name)}@${version}?checksum=sha256:${model.sha256}`;
  const tools = toolsOf(manifest);
  const last = provenance?.steps.at(-1)?.at ?? evaluation?.evaluatedAt;
  const datasets = datasetsOf(manifest);
  const bom = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify(manifest))}`,
    version: 1,
    metadata: {
      ...(last === undefined ? {} : { timestamp: last }),
      ...(tools.length === 0 ? {} : { tools: { components: tools } }),
      component: {
        type: 'machine-learning-model',
        'bom-ref': 'model',
        name,
        version: String(version),
        purl,
        hashes: hashOf(model.sha256),
        ...licencesOf(manifest),
        modelCard: modelCardOf(manifest, datasets),
        ...pedigreeOf(manifest),
      },
    },
    components: [
      ...files.map(({ path, sha256 }) => ({
        type: 'file',
        'bom-ref': `file:${path}`,
        name: path,
        hashes: hashOf(sha256),
      })),
      ...datasets.map((dataset) => dataset.component),
    ],
    dependencies: [
      { ref: 'model', dependsOn: [...files.map(({ path }) => `file:${path}`), ...datasets.map(({ ref }) => ref)] },
    ],
  };
  return `${JSON.stringify(bom, undefined, 2)}\n`;
}

function hashOf(sha256: string): readonly Json[] {
  return [{ alg: 'SHA-256', content: sha256 }];
}

/** A single name is an SPDX identifier, anything longer an expression. */
function licencesOf({ licence }: Pick<ModelManifest, 'licence'>): Json {
  return licence === undefined ? {} : { licenses: [{ expression: licence }] };
}

interface Dataset {
  readonly ref: string;
  readonly component: Json;
}

/** What the figures were measured on, and what went into each step beside the model itself. */
function datasetsOf({ evaluation, provenance }: Pick<ModelManifest, 'evaluation' | 'provenance'>): readonly Dataset[] {
  const found = new Map<string, { readonly name: string; readonly sha256: string }>();
  if (evaluation !== undefined) found.set(evaluation.dataset.sha256, evaluation.dataset);
  for (const { inputs } of provenance?.steps ?? []) {
    for (const { path, sha256 } of inputs.slice(1)) if (!found.has(sha256)) found.set(sha256, { name: path, sha256 });
  }
  return [...found.values()].map(({ name, sha256 }) => {
    const ref = `data:${sha256.slice(0, 16)}`;
    return {
      ref,
      component: { type: 'data', 'bom-ref': ref, name, hashes: hashOf(sha256), data: [{ type: 'dataset', name }] },
    };
  });
}

function modelCardOf(
  { facts, evaluation }: Pick<ModelManifest, 'facts' | 'evaluation'>,
  datasets: readonly Dataset[],
): Json {
  const format = (tensor: {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly unknown[];
  }) => ({
    format: `${tensor.name} ${tensor.datatype} [${tensor.shape.join(', ')}]`,
  });
  const approach = evaluation && Object.hasOwn(APPROACHES, evaluation.task) ? APPROACHES[evaluation.task] : undefined;
  return {
    modelParameters: {
      ...(approach === undefined ? {} : { approach: { type: approach } }),
      ...(evaluation === undefined ? {} : { task: evaluation.task }),
      ...(datasets.length === 0 ? {} : { datasets: datasets.map(({ ref }) => ({ ref })) }),
      inputs: facts.inputs.map(format),
      outputs: facts.outputs.map(format),
    },
    ...(evaluation === undefined
      ? {}
      : {
          quantitativeAnalysis: {
            performanceMetrics: Object.entries({ ...evaluation.metrics, ...evaluation.speed }).map(([type, value]) => ({
              type,
              value: String(value),
            })),
          },
        }),
  };
}

/** Each step as a commit of the model's own history: the command, and what came of it by digest. */
function pedigreeOf({ provenance }: Pick<ModelManifest, 'provenance'>): Json {
  if (provenance === undefined) return {};
  const ancestors = provenance.source.map(({ path, sha256 }) => ({ type: 'file', name: path, hashes: hashOf(sha256) }));
  const notes = provenance.steps.map(
    ({ command, at, outputs }) =>
      `${at} ${command} -> ${outputs.map(({ path, sha256 }) => `${path} sha256:${sha256}`).join(', ')}`,
  );
  return { pedigree: { ancestors, ...(notes.length === 0 ? {} : { notes: notes.join('\n') }) } };
}

function toolsOf({ provenance, evaluation }: Pick<ModelManifest, 'provenance' | 'evaluation'>): readonly Json[] {
  const used = [...(provenance?.steps ?? []), ...(evaluation === undefined ? [] : [evaluation])];
  const tools = new Map(
    used.flatMap((step) =>
      Object.entries(step.tools).map(([name, version]) => [`${name}@${version}`, { name, version }]),
    ),
  );
  return [...tools.values()].map(({ name, version }) => ({ type: 'application', name, version }));
}

/** A UUID of version 5's shape, made of what it stands for. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  const variant = ((Number.parseInt(hex[16]!, 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
