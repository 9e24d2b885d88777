import * as ecr from '@pulumi/aws/ecr';
import { getCallerIdentityOutput } from '@pulumi/aws/getCallerIdentity';
import * as pulumi from '@pulumi/pulumi';
import { SpecError } from '../../runtime/spec';
import { checkMirrors } from '../image-mirrors';
import { decideFor } from '../refusal';

export interface ImageRegistryArgs {
  /** Regions of the account that get a copy of what is pushed. */
  readonly replicateTo: string[];
  /** How the names of repositories begin that are copied. @default - all */
  readonly replicatedPrefixes?: string[];
}

/**
 * Has ECR copy what is pushed to other regions. It is the one such setting that an account has in a region: two stacks that
 * both make it take turns in overwriting each other, so it belongs into a stack that a platform team deploys once.
 * Repositories that `replicateTo` of an `ImageRepository` made there are closed; those that ECR makes by itself are not.
 *
 * @example
 * new ImageRegistry('registry', { replicateTo: ['eu-central-1'], replicatedPrefixes: ['slipway'] });
 */
export class ImageRegistry extends pulumi.ComponentResource {
  readonly replication: ecr.ReplicationConfiguration;

  constructor(name: string, args: ImageRegistryArgs, opts?: pulumi.ComponentResourceOptions) {
    super('slipway:aws:ImageRegistry', name, args, opts);
    decideFor(
      this,
      () => {
        if (args.replicateTo.length === 0) {
          throw new SpecError('IMAGE_REGION', 'replicateTo', 'must name at least one region, got none');
        }
        checkMirrors(args.replicateTo, {});
      },
      args,
    );
    const { accountId } = getCallerIdentityOutput({}, { parent: this });
    const prefixes = args.replicatedPrefixes ?? [];
    this.replication = new ecr.ReplicationConfiguration(
      name,
      {
        replicationConfiguration: {
          rules: [
            {
              destinations: args.replicateTo.map((region) => ({ region, registryId: accountId })),
              ...(prefixes.length === 0
                ? {}
                : { repositoryFilters: prefixes.map((filter) => ({ filter, filterType: 'PREFIX_MATCH' })) }),
            },
          ],
        },
      },
      { parent: this },
    );
    this.registerOutputs({ replication: this.replication });
  }
}
