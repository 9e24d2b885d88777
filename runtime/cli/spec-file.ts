import path from 'node:path';
import type { EngineServiceSpec, InferenceServiceSpec, ModelSpec } from '../spec/inference-service-spec';
import type { ModelMount, ModelVolume } from '../spec/kubernetes/model-mounts';
import { machinesOf, type KubernetesOptions } from '../spec/kubernetes/options';
import type { CanaryChoices, RouteOptions, ServingEngine, ShadowChoices } from '../spec/kubernetes/traffic-options';
import { wakeSourceOf } from '../spec/kubernetes/wake';
import { CliError } from './cli-error';
import { modelFromFile, modelFromManifest } from './model-spec';
import { parseSpecFile } from './parse-spec-file';
import { SPEC_FILE } from './spec-fields';
import { assertShape } from './spec-shape';

/** A model of a spec file: what is known of it, and where its files lie if not in the service's model repository. */
export interface FileModel extends ModelSpec {
  readonly repositoryUri?: string;
  readonly mount?: ModelMount<string>;
  /** Absolute path of the manifest or of the ONNX file that it is known from. */
  readonly manifest?: string;
  readonly file?: string;
}

/** A second set of replicas, with the models it serves. */
interface Track {
  readonly models: readonly FileModel[];
  readonly image?: string;
}

/** The section `kubernetes` of a spec file. */
export interface KubernetesSection extends KubernetesOptions {
  readonly route?: RouteOptions;
  readonly canary?: CanaryChoices & Track;
  readonly shadow?: ShadowChoices & Track;
  readonly engine?: ServingEngine;
}

/** The section `deploy` of a spec file; paths are absolute. */
export interface DeploySection {
  readonly stack?: string;
  readonly backend?: string;
  readonly secretsProvider?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** Everything that a spec file says. */
export interface ServiceFile {
  readonly spec: EngineServiceSpec & { readonly models: readonly FileModel[] };
  readonly kubernetes: KubernetesSection;
  readonly deploy: DeploySection;
}

/** A service as it stands in the file, after its shape was checked. */
type Content = Omit<InferenceServiceSpec, 'models'> & {
  readonly $schema?: string;
  readonly models: readonly ModelEntry[];
  readonly kubernetes?: Omit<KubernetesSection, 'canary' | 'shadow'> & {
    readonly canary?: CanaryChoices & { readonly models: readonly ModelEntry[] };
    readonly shadow?: ShadowChoices & { readonly models: readonly ModelEntry[] };
  };
  readonly deploy?: DeploySection;
};

interface ModelEntry {
  readonly name?: string;
  readonly version?: number;
  readonly manifest?: string;
  readonly file?: string;
  readonly maxBatchSize?: number;
  readonly repositoryUri?: string;
  readonly image?: string;
  readonly volume?: ModelVolume<string>;
}

/**
 * Reads a service from YAML or JSON. A model is given by what is known of it: `manifest` (the file that `slipway model publish`
 * left), or `file` (the ONNX file itself; name and version are its place's unless said otherwise), or only `name` and
 * `version`. Paths are relative to the spec file.
 *
 * @throws CliError naming the field, what was found and what would work; for an unknown field the nearest known one.
 */
export function readServiceFile(file: string): ServiceFile {
  const parsed = parseSpecFile(file);
  try {
    assertShape(parsed, SPEC_FILE, '');
  } catch (error) {
    throw new CliError(`${file}: ${(error as Error).message}`);
  }
  const { $schema: _schema, models, kubernetes = {}, deploy = {}, ...spec } = parsed as Content;
  const { canary, shadow, ...section } = kubernetes;
  const machines = machinesOf(section.placement);
  const wakeSource = wakeSourceOf(section.wake);
  const all = (entries: readonly ModelEntry[], where: string) =>
    entries.map((entry, i) => readModel(entry, `${where}[${i}]`, file));
  return {
    spec: {
      ...spec,
      models: all(models, 'models'),
      ...(machines === undefined ? {} : { machines }),
      ...(wakeSource === undefined ? {} : { wakeSource }),
    },
    kubernetes: {
      ...section,
      ...(canary && { canary: { ...canary, models: all(canary.models, 'kubernetes.canary.models') } }),
      ...(shadow && { shadow: { ...shadow, models: all(shadow.models, 'kubernetes.shadow.models') } }),
    },
    deploy: {
      ...deploy,
      ...(deploy.kubeconfig === undefined ? {} : { kubeconfig: besideFile(file, deploy.kubeconfig) }),
    },
  };
}

function besideFile(file: string, target: string): string {
  return path.resolve(path.dirname(file), target);
}

function readModel(entry: ModelEntry, where: string, file: string): FileModel {
  const { maxBatchSize, repositoryUri, image, volume } = entry;
  return {
    ...knownModel(entry, where, file),
    ...(maxBatchSize === undefined ? {} : { maxBatchSize }),
    ...(repositoryUri === undefined ? {} : { repositoryUri }),
    ...(image === undefined ? {} : { delivery: 'image', mount: { image } }),
    ...(volume === undefined ? {} : { delivery: 'volume', mount: { volume } }),
  };
}

function knownModel(entry: ModelEntry, where: string, file: string): FileModel {
  if (entry.manifest !== undefined) {
    const manifest = besideFile(file, entry.manifest);
    const known = modelFromManifest(manifest);
    for (const field of ['name', 'version'] as const) {
      if (entry[field] !== undefined && entry[field] !== known[field]) {
        throw new CliError(
          `${file}: ${where}.${field} is ${entry[field]}, the manifest is of ${known.name} version ${known.version}`,
        );
      }
    }
    return { ...known, manifest };
  }
  if (entry.file !== undefined) {
    const onnx = besideFile(file, entry.file);
    const known = modelFromFile(onnx);
    return { ...known, name: entry.name ?? known.name, version: entry.version ?? known.version, file: onnx };
  }
  // The shape says that both are there.
  return { name: entry.name!, version: entry.version! };
}
