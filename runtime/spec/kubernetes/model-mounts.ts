import { versionPrefix } from '../model-repository';

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
export const MODELS_FOLDER = '/models';

/** URI of the folder of one version of a mounted model. */
export function mountedFolder(model: string, version: number): string {
  return `file://${MODELS_FOLDER}/${model}/${versionPrefix(model, version)}`;
}
