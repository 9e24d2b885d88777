import { Stack, Token } from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { SpecError } from '../runtime/spec';
import { claim } from './app-registry';

/** Images of another registry that are pulled through this one, and kept. */
export interface PullThroughRule {
  /** First part of the names here: `<prefix>/library/node` is `library/node` there. Lower case, 2 to 30 characters. */
  readonly prefix: string;
  /** Host of the other registry, such as `public.ecr.aws`. */
  readonly upstream: string;
  /** User name and token for it; ECR takes secrets whose name begins with `ecr-pullthroughcache/`. @default - none */
  readonly credentials?: secretsmanager.ISecret;
}

export interface ImageRegistryProps {
  /** Regions of this account that get a copy of what is pushed. @default - none */
  readonly replicateTo?: readonly string[];
  /** First parts of the names of repositories that are copied. @default - all */
  readonly replicatedPrefixes?: readonly string[];
  /** @default - none */
  readonly pullThrough?: readonly PullThroughRule[];
  /**
   * Has Amazon Inspector scan every image, again and again: packages of languages as well, for a price per image.
   * @default false: repositories scan what is pushed, free of charge
   */
  readonly enhancedScanning?: boolean;
}

const REGISTRY = 'ImageRegistry';
const SECRET_PREFIX = 'ecr-pullthroughcache/';

/**
 * Settings of the container registry, of which an account has one in each region: two stacks that both make them take
 * turns in overwriting each other. Put it into a stack that a platform team deploys once; a second one in an app and
 * region is refused.
 *
 * @example
 * new ImageRegistry(this, 'Registry', { replicateTo: ['eu-central-1'], replicatedPrefixes: ['slipway'] });
 */
export class ImageRegistry extends Construct {
  /** The parts. Exposed so that nothing is out of reach. undefined where they were not asked for. */
  readonly replication?: ecr.CfnReplicationConfiguration;
  readonly scanning?: ecr.CfnRegistryScanningConfiguration;
  readonly pullThroughRules: readonly ecr.CfnPullThroughCacheRule[];

  /** @throws SpecError NAME_INVALID for a prefix or a secret that ECR does not take, NAME_TAKEN for a prefix twice. */
  constructor(scope: Construct, id: string, props: ImageRegistryProps) {
    super(scope, id);
    this.node.addValidation({ validate: () => this.validateSingle() });
    const { replicateTo = [], pullThrough = [] } = props;
    if (replicateTo.length > 0) this.replication = this.createReplication(replicateTo, props.replicatedPrefixes);
    if (props.enhancedScanning === true) this.scanning = this.createScanning();
    this.pullThroughRules = this.createPullThrough(pullThrough);
    // Taken now, reported when everybody has had their turn.
    claim(this, 'registry', this.place);
  }

  private get place(): string {
    const { account, region } = Stack.of(this);
    // A stack that names neither is deployed where the others that name neither are.
    const known = (value: string): string => (Token.isUnresolved(value) ? '' : value);
    return `${REGISTRY}/${known(account)}/${known(region)}`;
  }

  private validateSingle(): string[] {
    const earlier = claim(this, 'registry', this.place);
    if (earlier === undefined) return [];
    return [
      `SINGLETON_TAKEN registry: '${earlier.node.path}' has the registry's settings of this account and region already; say all of them there`,
    ];
  }

  private createReplication(
    regions: readonly string[],
    prefixes: readonly string[] = [],
  ): ecr.CfnReplicationConfiguration {
    const { account } = Stack.of(this);
    return new ecr.CfnReplicationConfiguration(this, 'Replication', {
      replicationConfiguration: {
        rules: [
          {
            destinations: regions.map((region) => ({ region, registryId: account })),
            ...(prefixes.length === 0
              ? {}
              : { repositoryFilters: prefixes.map((filter) => ({ filter, filterType: 'PREFIX_MATCH' })) }),
          },
        ],
      },
    });
  }

  private createScanning(): ecr.CfnRegistryScanningConfiguration {
    return new ecr.CfnRegistryScanningConfiguration(this, 'Scanning', {
      scanType: 'ENHANCED',
      rules: [{ scanFrequency: 'CONTINUOUS_SCAN', repositoryFilters: [{ filter: '*', filterType: 'WILDCARD' }] }],
    });
  }

  private createPullThrough(rules: readonly PullThroughRule[]): readonly ecr.CfnPullThroughCacheRule[] {
    rules.forEach(assertRule);
    const folder = new Construct(this, 'PullThrough');
    return rules.map(
      ({ prefix, upstream, credentials }) =>
        new ecr.CfnPullThroughCacheRule(folder, prefix.replaceAll('/', '--'), {
          ecrRepositoryPrefix: prefix,
          upstreamRegistryUrl: upstream,
          ...(credentials === undefined ? {} : { credentialArn: credentials.secretFullArn ?? credentials.secretArn }),
        }),
    );
  }
}

function assertRule({ prefix, credentials }: PullThroughRule, i: number, all: readonly PullThroughRule[]): void {
  const path = `pullThrough[${i}]`;
  if (!/^(?=.{2,30}$)[a-z0-9]+([._/-][a-z0-9]+)*$/.test(prefix)) {
    throw new SpecError(
      'NAME_INVALID',
      `${path}.prefix`,
      `must be 2 to 30 lower-case letters and digits, with single '.', '_', '-' or '/' between them, got '${prefix}'`,
    );
  }
  if (all.findIndex((other) => other.prefix === prefix) < i) {
    throw new SpecError(
      'NAME_TAKEN',
      `${path}.prefix`,
      `'${prefix}' leads to another registry already; choose another`,
    );
  }
  const name = credentials === undefined ? undefined : nameOf(credentials);
  if (name !== undefined && !name.startsWith(SECRET_PREFIX)) {
    throw new SpecError(
      'NAME_INVALID',
      `${path}.credentials`,
      `ECR takes secrets whose name begins with '${SECRET_PREFIX}', got '${name}'`,
    );
  }
}

/** The name that the program gave; one that CloudFormation or a token chooses is known to nobody. */
function nameOf(secret: secretsmanager.ISecret): string | undefined {
  const resource = secret.node.defaultChild;
  const name = resource instanceof secretsmanager.CfnSecret ? resource.name : secret.secretName;
  return name === undefined || Token.isUnresolved(name) ? undefined : name;
}
