import type { EngineServiceSpec } from '../spec/inference-service-spec';
import { decideService, type DecidedService } from '../spec/kubernetes/decide-service';
import { NO_IDENTITY } from '../spec/kubernetes/identity-binding';
import { mountedFolder } from '../spec/kubernetes/model-mounts';
import { namespaceLabels } from '../spec/kubernetes/pod-identity';
import type { KubernetesRefs } from '../spec/kubernetes/refs';
import { PLAIN } from '../spec/late-bound';
import { versionPrefix } from '../spec/model-repository';
import { assertPinnedImage } from '../spec/pinned-image';
import { CliError } from './cli-error';
import type { FileModel, KubernetesSection } from './spec-file';

/** An object of the Kubernetes API. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** A service as a spec file has it. */
export interface FileService {
  readonly spec: EngineServiceSpec & { readonly models: readonly FileModel[] };
  readonly kubernetes: KubernetesSection;
}

/** Everything about a service, and its objects in the order in which they are applied. */
export interface RenderedService extends DecidedService<string> {
  readonly inOrder: readonly KubernetesObject[];
}

/** @throws SpecError as the component does, CliError where image or model repository are said nowhere. */
export function renderService({ spec, kubernetes }: FileService): RenderedService {
  const { namespace = 'default', createNamespace, image, canary, shadow } = kubernetes;
  if (image === undefined) throw new CliError(missing('image', 'image'));
  const identity = { ...NO_IDENTITY, ...kubernetes.identity };
  const refs: KubernetesRefs<string> = {
    ...kubernetes,
    ...PLAIN,
    ...trackRefs(spec.models, kubernetes),
    namespace,
    image,
    clusterName: kubernetes.clusterName ?? 'kubernetes',
    identity,
  };
  const decided = decideService(spec, kubernetes, refs, {
    derive: (text, from) => from(text),
    ...(canary === undefined ? {} : { canary: trackRefs(canary.models, kubernetes, canary.image) }),
    ...(shadow === undefined ? {} : { shadow: trackRefs(shadow.models, kubernetes, shadow.image) }),
  });
  const made = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace, labels: namespaceLabels(identity) },
  };
  const inOrder = [...(createNamespace === true ? [made] : []), ...objectsIn([decided.objects, decided.further])];
  return { ...decided, inOrder };
}

/** What the component takes of a model: everything known, where it lies, what is mounted there. */
export function locateModel(model: FileModel, { modelRepository }: KubernetesSection) {
  const { repositoryUri = modelRepository, mount, manifest: _manifest, file: _file, ...spec } = model;
  if (mount?.image !== undefined) assertPinnedImage(mount.image, `models.${model.name}.image`);
  if (mount !== undefined) return { ...spec, mount, location: { folder: mountedFolder(model.name, model.version) } };
  if (repositoryUri === undefined) throw new CliError(missing('model-repository', 'modelRepository'));
  const root = repositoryUri.endsWith('/') ? repositoryUri : `${repositoryUri}/`;
  return { ...spec, location: { folder: `${root}${versionPrefix(model.name, model.version)}` } };
}

function trackRefs(models: readonly FileModel[], section: KubernetesSection, image?: string) {
  const located = models.map((model) => locateModel(model, section));
  return {
    models: Object.fromEntries(located.map(({ name, location }) => [name, location])),
    mounts: Object.fromEntries(
      located.flatMap((model) => ('mount' in model ? [[model.name, model.mount] as const] : [])),
    ),
    ...(image === undefined ? {} : { image }),
  };
}

function missing(flag: string, field: string): string {
  return `--${flag} is missing, and so is kubernetes.${field} of the spec file; give one of them`;
}

/** Objects inside records of objects, in their order. */
function objectsIn(value: unknown): readonly KubernetesObject[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('kind' in value && 'apiVersion' in value) return [value as KubernetesObject];
  return Object.values(value).flatMap(objectsIn);
}
