import { SpecError } from '../errors';
import type { InferenceServicePlan, ModelPlan } from '../inference-service-plan';
import { versionPrefix } from '../model-repository';
import type { PodSpecObject, VolumeObject } from './objects';

/** An image or a volume that holds a model repository, mounted read-only: `<model>/<version>/…` lies at its root. */
export type ModelMount<S> =
  { readonly image: string | S; readonly volume?: never } | { readonly volume: ModelVolume<S>; readonly image?: never };

/** A volume of the cluster: a claim, or a CSI driver's own. Exactly one of them. */
export interface ModelVolume<S> {
  /** Name of a PersistentVolumeClaim of the namespace. */
  readonly claimName?: string | S;
  readonly csi?: CsiVolume<S>;
}

export interface CsiVolume<S> {
  /** As in 'blob.csi.azure.com'. */
  readonly driver: string;
  readonly attributes?: { readonly [key: string]: string | S };
}

/** Where models that are mounted lie; each under its own name. */
const MODELS_FOLDER = '/models';

/** URI of the folder of one version of a mounted model. */
export function mountedFolder(model: string, version: number): string {
  return `file://${MODELS_FOLDER}/${model}/${versionPrefix(model, version)}`;
}

export interface MountedModels<S> {
  readonly volumes: VolumeObject<S>[];
  readonly volumeMounts: PodSpecObject<S>['containers'][number]['volumeMounts'];
}

/** Volumes of a pod for the models that are mounted; several models of one image or claim share a volume. */
export function mountModels<S>(
  { models }: InferenceServicePlan,
  mounts: Readonly<Record<string, ModelMount<S>>> = {},
): MountedModels<S> {
  const volumes: { readonly source: unknown; readonly volume: VolumeObject<S> }[] = [];
  const volumeMounts = models.flatMap((model) => {
    const mount = mounts[model.name];
    assertDelivered(model, mount);
    if (mount === undefined) return [];
    const source = mount.image ?? mount.volume?.claimName ?? mount.volume;
    let known = volumes.find((other) => other.source === source);
    if (known === undefined) {
      known = { source, volume: volumeOf(`models-${volumes.length}`, mount) };
      volumes.push(known);
    }
    return [{ name: known.volume.name, mountPath: `${MODELS_FOLDER}/${model.name}`, readOnly: true as const }];
  });
  return { volumes: volumes.map(({ volume }) => volume), volumeMounts };
}

function assertDelivered<S>({ name, delivery }: ModelPlan, mount: ModelMount<S> | undefined): void {
  const mounted = mount === undefined ? 'fetch' : mount.image === undefined ? 'volume' : 'image';
  if (delivery === mounted) return;
  throw new SpecError(
    'MODEL_DELIVERY',
    `models.${name}`,
    `is planned with delivery '${delivery}', but ${mounted === 'fetch' ? 'nothing is mounted for it' : `its ${mounted} is mounted`}`,
  );
}

function volumeOf<S>(name: string, { image, volume }: ModelMount<S>): VolumeObject<S> {
  if (image !== undefined) return { name, image: { reference: image, pullPolicy: 'IfNotPresent' } };
  if (volume!.claimName !== undefined) {
    return { name, persistentVolumeClaim: { claimName: volume!.claimName, readOnly: true } };
  }
  const { driver, attributes } = volume!.csi!;
  return {
    name,
    csi: { driver, readOnly: true, ...(attributes === undefined ? {} : { volumeAttributes: { ...attributes } }) },
  };
}
