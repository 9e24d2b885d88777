import * as pulumi from '@pulumi/pulumi';
import { resolveModel, type ModelSource } from '../runtime/onnx/resolve-model';
import {
  assertPinnedImage,
  mountedFolder,
  SpecError,
  versionPrefix,
  type ModelLocation,
  type ModelMount,
  type ModelSpec,
} from '../runtime/spec';
import { lateString, lateStrings, OUTPUTS, type LateString } from './late-bound';
import { isRefusal } from './refusal';

/**
 * A model version, and where its files lie: in a model repository that the server fetches them from, in an image, or on
 * a volume. What `modelAt`, `modelInImage`, `modelOnVolume` and a model bucket give is one, with facts and files read already.
 */
export interface ModelArgs {
  /** Its name in URLs, and of its folder in the model repository. */
  readonly name: string;
  /** @default - the manifest's; without a manifest it is required */
  readonly version?: number;
  /**
   * Path of the manifest that `slipway model publish` left beside the program. It brings the version, the facts and the
   * digest of every file. @default - nothing is known about the model but what the other fields say
   */
  readonly manifest?: string;
  /** Path of the ONNX file, where it lies beside the program and has no manifest. */
  readonly onnxFile?: string;
  /** Rows that one run may carry. @default - 32 when the model's first dimension is free, else 1 */
  readonly maxBatchSize?: number;
  /** URI of the model repository that the server fetches from: `s3://team-models`. */
  readonly repositoryUri?: pulumi.Input<string>;
  /** Image whose root is a model repository, by digest: mounted read-only, which Kubernetes does from 1.34 on. */
  readonly image?: pulumi.Input<string>;
  /** Volume whose root is a model repository: mounted read-only. */
  readonly volume?: ModelVolumeArgs;
}

/** A volume of the cluster: a claim, or a CSI driver's own. Give one of them. */
export interface ModelVolumeArgs {
  /** Name of a PersistentVolumeClaim of the namespace. */
  readonly claimName?: pulumi.Input<string>;
  readonly csi?: CsiVolumeArgs;
}

export interface CsiVolumeArgs {
  /** As in 'blob.csi.azure.com'. */
  readonly driver: string;
  /** What the driver is told, as its own pages list it. */
  readonly attributes?: { readonly [key: string]: pulumi.Input<string> };
}

/** A model of which everything is known that can be known while the program runs. */
export interface Model extends ModelSpec {
  /** Where a replica finds the files. */
  readonly location: ModelLocation<pulumi.Output<string>>;
  /** What is mounted there. @default - nothing, the server fetches them */
  readonly mount?: ModelMount<pulumi.Output<string>>;
}

/**
 * A model in a model repository that this program does not create.
 * @throws pulumi.RunError when the file or the manifest cannot be read, or the manifest is another model's.
 *
 * @example
 * const digits = modelAt('s3://team-models', 'digits', { manifest: 'manifest.json' });
 */
export function modelAt(repositoryUri: pulumi.Input<string>, name: string, source: ModelSource): Model {
  return refusing(() => locateModel(repositoryUri, name, source));
}

/**
 * A model in an image, whose root is a model repository: `<model>/<version>/model.onnx`. Nodes keep it like any image, and
 * nothing is fetched when a replica starts. Needs Kubernetes 1.34.
 * @param image by digest: `registry.example.com/models/digits@sha256:…`
 * @throws pulumi.RunError for an image that is named by a tag, and as `modelAt` does.
 */
export function modelInImage(image: pulumi.Input<string>, name: string, source: ModelSource): Model {
  return refusing(() => mountModel({ image: pinned(image) }, name, source));
}

/**
 * A model on a volume, whose root is a model repository.
 * @throws pulumi.RunError for anything but one claim or one driver, and as `modelAt` does.
 *
 * @example
 * const digits = modelOnVolume({ claimName: 'models' }, 'digits', { manifest: 'manifest.json' });
 */
export function modelOnVolume(volume: ModelVolumeArgs, name: string, source: ModelSource): Model {
  return refusing(() => mountModel({ volume: volumeOf(volume, name) }, name, source));
}

/** @internal */
export function locateModel(repositoryUri: pulumi.Input<string>, name: string, source: ModelSource): Model {
  const spec = resolveModel(name, source);
  const folder = OUTPUTS.concat([withoutTrailingSlash(repositoryUri), `/${versionPrefix(name, spec.version)}`]);
  return { ...spec, location: { folder } };
}

/**
 * What `models` of a service says, with everything known that can be. `path` is where it stands there.
 * @internal
 * @throws SpecError MODEL_DELIVERY unless the files lie in exactly one place.
 */
export function completeModel(args: ModelArgs | Model, path: string): Model {
  if ('location' in args) return args;
  const { name, repositoryUri, image, volume, ...source } = args;
  const places = Object.entries({ repositoryUri, image, volume }).filter(([, place]) => place !== undefined);
  if (places.length !== 1) {
    throw new SpecError(
      'MODEL_DELIVERY',
      path,
      `files of '${name}' must lie in one place: give repositoryUri, image or volume, got ${places.map(([place]) => place).join(' and ') || 'none'}`,
    );
  }
  if (repositoryUri !== undefined) return locateModel(repositoryUri, name, source);
  if (image !== undefined) return mountModel({ image: pinned(image) }, name, source);
  return mountModel({ volume: volumeOf(volume!, name) }, name, source);
}

function mountModel(mount: ModelMount<pulumi.Output<string>>, name: string, source: ModelSource): Model {
  const spec = resolveModel(name, source);
  return {
    ...spec,
    delivery: mount.image === undefined ? 'volume' : 'image',
    location: { folder: mountedFolder(name, spec.version) },
    mount,
  };
}

function pinned(image: pulumi.Input<string>): LateString {
  const check = (known: string): string => {
    assertPinnedImage(known, 'image');
    return known;
  };
  const late = lateString(image);
  return typeof late === 'string' ? check(late) : late.apply((known) => refusing(() => check(known)));
}

function volumeOf(
  { claimName, csi }: ModelVolumeArgs,
  model: string,
): ModelMount<pulumi.Output<string>>['volume'] & object {
  if ((claimName === undefined) === (csi === undefined)) {
    throw new SpecError(
      'MODEL_DELIVERY',
      `${model}.volume`,
      `must be a claim or a CSI driver, got ${claimName === undefined ? 'neither' : 'both'}`,
    );
  }
  if (claimName !== undefined) return { claimName: lateString(claimName) };
  const { driver, attributes } = csi!;
  return { csi: { driver, ...(attributes === undefined ? {} : { attributes: lateStrings(attributes) }) } };
}

function refusing<T>(decide: () => T): T {
  try {
    return decide();
  } catch (error) {
    throw isRefusal(error) ? new pulumi.RunError(error.message) : error;
  }
}

function withoutTrailingSlash(uri: pulumi.Input<string>): LateString {
  const late = lateString(uri);
  return typeof late === 'string' ? late.replace(/\/+$/, '') : late.apply((known) => known.replace(/\/+$/, ''));
}
