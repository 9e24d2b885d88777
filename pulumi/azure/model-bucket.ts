import { getClientConfigOutput } from '@pulumi/azure-native/authorization';
import { Blob, type BlobContainer, type StorageAccount } from '@pulumi/azure-native/storage';
import * as pulumi from '@pulumi/pulumi';
import type { ModelSource } from '../../runtime/onnx/resolve-model';
import { SpecError } from '../../runtime/spec';
import { integer } from '../../runtime/spec/numbers';
import { locateModel, type Model } from '../model';
import { publishModel, readLocalModel, type ModelFileOptions } from '../model-from-file';
import { decideFor } from '../refusal';
import { createAccount } from './create-account';
import { checkKeyId } from './encryption-key';
import { checkGlobalName } from './global-name';

export const StorageRedundancy = {
  /** Three copies in one data centre. */
  Standard_LRS: 'Standard_LRS',
  /** A copy in each of three zones of the region, which must have some. */
  Standard_ZRS: 'Standard_ZRS',
  /** Three copies here, three in the paired region. */
  Standard_GRS: 'Standard_GRS',
} as const;
export type StorageRedundancy = (typeof StorageRedundancy)[keyof typeof StorageRedundancy];

export interface ModelBucketArgs {
  readonly resourceGroupName: pulumi.Input<string>;
  /**
   * Subnets whose machines may reach the account, `cluster.facts.subnetId` among them; each needs the service endpoint
   * `Microsoft.Storage`. @default - none
   */
  readonly subnetIds?: pulumi.Input<string>[];
  /**
   * Public addresses that may reach the account, such as those of whoever publishes models: `203.0.113.7` or
   * `203.0.113.0/24`. Azure does not look at them for what comes from the account's own region.
   * @default - none; without subnets, too, private endpoints alone
   */
  readonly ipRanges?: pulumi.Input<string>[];
  /**
   * Whether the account's keys open it. Pulumi uploads blobs with a key, so `modelFromFile` needs it; whoever may list the keys
   * may then read and write everything. @default false: identities alone
   */
  readonly uploadWithAccountKey?: boolean;
  /**
   * Id of the Key Vault key that encrypts the blobs, as `keyvault.Key` gives it. Azure Storage decrypts, so readers need no
   * right to it. @default - a key that Azure manages
   */
  readonly encryptionKey?: pulumi.Input<string>;
  /**
   * Days for which an overwritten or deleted blob can be brought back, 1 to 365. @default 90
   */
  readonly noncurrentVersionDays?: number;
  /**
   * Whether the account, its models and all its protections outlive this component. False deletes everything with it.
   * @default true
   */
  readonly keepOnDelete?: boolean;
  /** @default 'Standard_ZRS' */
  readonly redundancy?: StorageRedundancy;
  /** A container that is already there: nothing of it is changed. @default - makes one */
  readonly existing?: ExistingBucketArgs;
  /**
   * Name of the account, which all of Azure shares: 3 to 24 lower-case letters and digits.
   * @default - the component's name and a digest of where it is
   */
  readonly accountName?: pulumi.Input<string>;
  /** Of the account; containers and blobs have none. @default - none */
  readonly tags?: { readonly [key: string]: pulumi.Input<string> };
}

/** A container of the resource group that `resourceGroupName` names. */
export interface ExistingBucketArgs {
  readonly accountName: pulumi.Input<string>;
  readonly containerName: pulumi.Input<string>;
}

/** A model in a model bucket: what a service serves and what an identity may read. */
export interface BucketModel extends Model {
  readonly bucket: BucketFacts;
}

/** What a reader's permissions name. */
export interface BucketFacts {
  /** Id of the container in Azure Resource Manager. */
  readonly containerId: pulumi.Input<string>;
  /**
   * What the names of rights on it hold; it must stay, and be another one for each bucket of a list.
   * @default - as a bucket gives it, the component's name, else nothing
   */
  readonly label?: string;
}

/**
 * A storage account with one container that holds a model repository: closed to the public and to account keys, reachable
 * over TLS 1.2 alone and from nowhere but where `subnetIds` and `ipRanges` say, encrypted twice, versioned, and kept when the
 * component goes.
 *
 * @example
 * const models = new ModelBucket('models', { resourceGroupName, subnetIds: [subnetId] });
 * const digits = models.model('digits', { manifest: 'models/digits/manifest.json' });
 */
export class ModelBucket extends pulumi.ComponentResource {
  /** Undefined where `existing` was given, as the container is. */
  readonly account?: StorageAccount;
  readonly container?: BlobContainer;
  readonly facts: BucketFacts;
  /** Root of the model repository: `az://<account>/<container>`. */
  readonly uri: pulumi.Output<string>;

  constructor(name: string, args: ModelBucketArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:azure:ModelBucket', name, args, opts);
    const noncurrentDays = decideFor(
      this,
      () => {
        checkKeyId(args.encryptionKey);
        checkGlobalName('accountName', args.accountName);
        // A year is what Azure keeps deleted blobs at most.
        return integer('noncurrentVersionDays', args.noncurrentVersionDays, 90, 1, 365);
      },
      args,
    );
    if (args.existing === undefined) {
      const { account, container } = createAccount(name, args, noncurrentDays, this);
      this.account = account;
      this.container = container;
      INSIDES.set(this, { name, args, accountName: account.name, containerName: container.name });
      this.facts = { containerId: container.id, label: name };
    } else {
      const { accountName, containerName } = args.existing;
      INSIDES.set(this, {
        name,
        args,
        accountName: pulumi.output(accountName),
        containerName: pulumi.output(containerName),
      });
      this.facts = { containerId: containerIdOf(args.resourceGroupName, args.existing, this), label: name };
    }
    const { accountName, containerName } = INSIDES.get(this)!;
    this.uri = pulumi.interpolate`az://${accountName}/${containerName}`;
    this.registerOutputs({ uri: this.uri });
  }

  /**
   * A model in this bucket. Nothing is looked up: the version comes from the manifest beside the program, or is given.
   * @throws pulumi.ResourceError when the manifest cannot be read or is another model's.
   */
  model(name: string, source: ModelSource): BucketModel {
    return { ...decideFor(this, () => locateModel(this.uri, name, source)), bucket: this.facts };
  }

  /**
   * Publishes an ONNX file, and the external data it names, below `<model>/sha256-<digest>/`: other bytes are other blobs, so
   * replicas that run keep theirs until the new ones are ready. Pulumi reads each file into memory and uploads it with the
   * account's key, from an address that `ipRanges` must let in.
   * @param path of the `.onnx` file, relative to the working folder
   * @throws pulumi.ResourceError without `uploadWithAccountKey`, and when the file cannot be read or is no ONNX model.
   */
  modelFromFile(name: string, path: string, options: ModelFileOptions = {}): BucketModel {
    const { name: own, args, accountName, containerName } = INSIDES.get(this)!;
    const { uploadWithAccountKey, keepOnDelete = true, resourceGroupName } = args;
    const local = decideFor(this, () => {
      if (uploadWithAccountKey !== true) throw uploadRefused(name);
      return readLocalModel(name, path, options);
    });
    const child = { parent: this, retainOnDelete: keepOnDelete };
    const model = publishModel(
      local,
      this.uri,
      (key, { localPath }, label) =>
        new Blob(
          `${own}-${label}`,
          {
            resourceGroupName,
            accountName,
            containerName,
            blobName: key,
            type: 'Block',
            source: new pulumi.asset.FileAsset(localPath),
            contentType: 'application/octet-stream',
          },
          child,
        ),
    );
    return { ...model, bucket: this.facts };
  }
}

interface Insides {
  readonly name: string;
  readonly args: ModelBucketArgs;
  readonly accountName: pulumi.Output<string>;
  readonly containerName: pulumi.Output<string>;
}

/** Pulumi's schema takes every field of a component for an output, private ones too; these are none. */
const INSIDES = new WeakMap<ModelBucket, Insides>();

/**
 * azure-native's Blob asks for the account's keys and uploads with one of them (pulumi-azure-native#3719); uploads by identity
 * are an open wish (pulumi-azure-native#2015).
 */
function uploadRefused(model: string): SpecError {
  return new SpecError(
    'ACCOUNT_KEY_NEEDED',
    `${model}.modelFromFile`,
    "Pulumi uploads blobs with the account's key, which this account refuses; publish to a folder and upload it with az storage blob upload-batch --auth-mode login, then name the model by model(), or set uploadWithAccountKey: true",
  );
}

function containerIdOf(
  resourceGroupName: pulumi.Input<string>,
  { accountName, containerName }: ExistingBucketArgs,
  parent: pulumi.ComponentResource,
): pulumi.Output<string> {
  const { subscriptionId } = getClientConfigOutput({ parent });
  return pulumi.interpolate`/subscriptions/${subscriptionId}/resourceGroups/${resourceGroupName}/providers/Microsoft.Storage/storageAccounts/${accountName}/blobServices/default/containers/${containerName}`;
}
