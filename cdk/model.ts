import { Stack } from 'aws-cdk-lib';
import type * as iam from 'aws-cdk-lib/aws-iam';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { Construct } from 'constructs';
import { resolveModel, type ModelSource } from '../runtime/onnx/resolve-model';
import { modelPrefix, versionPrefix, type ModelLocation, type ModelSpec } from '../runtime/spec';
import { grantReadObjects } from './grant-read-objects';
import { readLocalModel, type LocalModelFile } from './local-model';
import type { IModelBucket } from './model-bucket';
import { ModelVersion } from './model-version';

export interface ModelAsset {
  /** @default - the manifest's; for a bare file its name, or its folder's where the file is called model.onnx */
  readonly name?: string;
  /** @default - the manifest's; for a bare file its folder's number, else 1 */
  readonly version?: number;
  /** Rows that one run may carry. @default - 32 when the model's first dimension is free, else 1 */
  readonly maxBatchSize?: number;
}

/** A model whose versions are rolled out as they are published. */
export interface RolledOutModelSource extends ModelSource {
  /** Path of the manifest of the first version that runs: it brings the version, its digest and the facts. */
  readonly manifest: string;
}

/** A model version and where its files lie. One service may mix models of different places. */
export abstract class Model {
  /**
   * A version in a model bucket, where `slipway model publish` put it.
   * @throws SpecError MODEL_VERSION_INVALID without a version, MANIFEST_INVALID when the manifest is another model's.
   *
   * @example
   * Model.fromBucket(models, 'digits', { manifest: 'digits.manifest.json' });
   */
  static fromBucket(bucket: IModelBucket, name: string, model: ModelSource): Model {
    return new BucketModel(bucket, resolveModel(name, model));
  }

  /**
   * A model in a bucket whose newer versions are rolled out without the program: version and manifest digest are a
   * parameter of the stack, which a ModelRollout changes. Sizes come from the first version's facts; the version in the
   * parameter is held to the digest in it, so a replica serves exactly these bytes or does not get ready.
   *
   * Raise the manifest here, and the deployment runs what it says, whatever was rolled out before.
   * @throws SpecError MANIFEST_INVALID when the manifest cannot be read or is another model's.
   *
   * @example
   * const digits = Model.rolledOutFromBucket(models, 'digits', { manifest: 'digits.manifest.json' });
   * new InferenceService(this, 'Digits', { cluster, models: [digits], plaintextInsideVpc: true });
   * new ModelRollout(this, 'Rollout', { model: digits });
   */
  static rolledOutFromBucket(bucket: IModelBucket, name: string, model: RolledOutModelSource): Model {
    return new RolledOutModel(bucket, resolveModel(name, model));
  }

  /**
   * A model beside the program: an `.onnx` file with its external data, or a version folder with its `manifest.json`.
   * Every file becomes an asset named by its digest, so a changed model is a new task definition, and rolling back
   * brings the old one back.
   * @throws OnnxFileError when it is no ONNX file, SpecError MANIFEST_INVALID when a file is not what the manifest says.
   *
   * @example
   * Model.fromAsset('models/digits/model.onnx', { maxBatchSize: 16 });
   */
  static fromAsset(path: string, model: ModelAsset = {}): Model {
    const local = readLocalModel(path, model.name, model.version);
    return new AssetModel(
      {
        name: local.name,
        version: local.version,
        facts: local.facts,
        files: local.files.map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 })),
        ...(model.maxBatchSize === undefined ? {} : { maxBatchSize: model.maxBatchSize }),
      },
      local.files,
    );
  }

  /** What the plan is made from. */
  readonly spec: ModelSpec;
  /** The version that deployment chooses. @default - the version is the spec's until code changes */
  readonly rolledOut?: ModelVersion;

  protected constructor(spec: ModelSpec) {
    this.spec = spec;
  }

  /** Names the objects that a replica reads, in text that is known while the program runs. */
  abstract readonly objects: string;

  /** Says where the files lie, and lets the reader get exactly them. */
  abstract bind(scope: Construct, reader: iam.IGrantable): ModelLocation<string>;
}

class BucketModel extends Model {
  constructor(
    protected readonly models: IModelBucket,
    spec: ModelSpec,
  ) {
    super(spec);
  }

  get objects(): string {
    const uri: unknown = Stack.of(this.models).resolve(this.models.modelRepositoryUri);
    return `${JSON.stringify(uri)}/${modelPrefix(this.spec.name)}`;
  }

  bind(_scope: Construct, reader: iam.IGrantable): ModelLocation<string> {
    this.models.grantReadModel(reader, this.spec.name);
    return { folder: `${this.models.modelRepositoryUri}/${versionPrefix(this.spec.name, this.spec.version)}` };
  }
}

class RolledOutModel extends BucketModel {
  override readonly rolledOut: ModelVersion;

  constructor(models: IModelBucket, spec: ModelSpec) {
    super(models, spec);
    this.rolledOut = new ModelVersion(models, spec);
  }

  override bind(scope: Construct, reader: iam.IGrantable): ModelLocation<string> {
    this.models.grantReadModel(reader, this.spec.name);
    const { version, manifestSha256 } = this.rolledOut.deployedIn(Stack.of(scope));
    const folder = `${this.models.modelRepositoryUri}/${modelPrefix(this.spec.name)}${version}/`;
    return { folder, version, manifestSha256 };
  }
}

class AssetModel extends Model {
  constructor(
    spec: ModelSpec,
    private readonly files: readonly LocalModelFile[],
  ) {
    super(spec);
  }

  get objects(): string {
    return this.files.map((file) => `${file.path}:${file.sha256}`).join(',');
  }

  bind(scope: Construct, reader: iam.IGrantable): ModelLocation<string> {
    const folder = new Construct(scope, this.spec.name);
    const fileUris = Object.fromEntries(
      this.files.map((file) => {
        const asset = new Asset(folder, file.path.replaceAll('/', '--'), {
          path: file.localPath,
          // The digest is known already; hashing gigabytes a second time would only cost time.
          assetHash: file.sha256,
        });
        // asset.grantRead would give list and ACL rights on the account's whole asset bucket.
        grantReadObjects(reader, asset.bucket, [asset.s3ObjectKey]);
        return [file.path, asset.s3ObjectUrl];
      }),
    );
    return { fileUris };
  }
}
