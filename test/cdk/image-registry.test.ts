import { App, SecretValue, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { ImageRegistry, type ImageRegistryProps } from 'slipway/cdk';
import { describe, expect, test } from 'vitest';
import { describeWithAndWithoutFlags, newStack, resourcesOf, theOnly } from './support/stacks';

describeWithAndWithoutFlags('ImageRegistry', (newStack) => {
  const synthesize = (props: ImageRegistryProps): Template => {
    const stack = newStack();
    new ImageRegistry(stack, 'Registry', props);
    return Template.fromStack(stack);
  };

  test('copies images to other regions of the account, those of the named repositories', () => {
    const template = synthesize({ replicateTo: ['eu-central-1', 'us-west-2'], replicatedPrefixes: ['slipway'] });
    const { ReplicationConfiguration } = theOnly(template, 'AWS::ECR::ReplicationConfiguration').Properties;
    expect(ReplicationConfiguration.Rules).toEqual([
      {
        Destinations: [
          { Region: 'eu-central-1', RegistryId: { Ref: 'AWS::AccountId' } },
          { Region: 'us-west-2', RegistryId: { Ref: 'AWS::AccountId' } },
        ],
        RepositoryFilters: [{ Filter: 'slipway', FilterType: 'PREFIX_MATCH' }],
      },
    ]);
  });

  test('scans again and again when that is asked for', () => {
    const { ScanType, Rules } = theOnly(
      synthesize({ enhancedScanning: true }),
      'AWS::ECR::RegistryScanningConfiguration',
    ).Properties;
    expect([ScanType, Rules]).toEqual([
      'ENHANCED',
      [{ ScanFrequency: 'CONTINUOUS_SCAN', RepositoryFilters: [{ Filter: '*', FilterType: 'WILDCARD' }] }],
    ]);
  });

  test('pulls through, with the credentials that it is given', () => {
    const stack = newStack();
    const credentials = secretsmanager.Secret.fromSecretNameV2(stack, 'Hub', 'ecr-pullthroughcache/docker-hub');
    const registry = new ImageRegistry(stack, 'Registry', {
      pullThrough: [
        { prefix: 'public', upstream: 'public.ecr.aws' },
        { prefix: 'hub/team', upstream: 'registry-1.docker.io', credentials },
      ],
    });
    expect(registry.pullThroughRules).toHaveLength(2);
    const rules = resourcesOf(Template.fromStack(stack), 'AWS::ECR::PullThroughCacheRule');
    expect(rules.map(({ Properties }) => [Properties.EcrRepositoryPrefix, Properties.UpstreamRegistryUrl])).toEqual([
      ['public', 'public.ecr.aws'],
      ['hub/team', 'registry-1.docker.io'],
    ]);
    expect(JSON.stringify(rules[1]!.Properties.CredentialArn)).toContain(':secret:ecr-pullthroughcache/docker-hub');
    expect(rules[0]!.Properties.CredentialArn).toBeUndefined();
  });

  test('makes nothing that was not asked for: each setting overwrites the account’s', () => {
    expect(synthesize({}).toJSON()['Resources']).toBeUndefined();
  });
});

describe('the settings of a registry are said once', () => {
  const twoIn = (first: object, second: object) => () => {
    const app = new App({ analyticsReporting: false });
    new ImageRegistry(new Stack(app, 'One', first), 'Registry', { enhancedScanning: true });
    const stack = new Stack(app, 'Two', second);
    new ImageRegistry(stack, 'Registry', { replicateTo: ['us-west-2'] });
    return Template.fromStack(stack);
  };
  const paris = { env: { account: '111122223333', region: 'eu-west-3' } };

  test.each([
    ['an account and region that are named', paris, paris],
    ['wherever the app is deployed', {}, {}],
  ])('in %s', (_name, first, second) => {
    expect(twoIn(first, second)).toThrow(
      "SINGLETON_TAKEN registry: 'One/Registry' has the registry's settings of this account and region already",
    );
  });

  test('and once more in another region', () => {
    expect(twoIn(paris, { env: { account: '111122223333', region: 'eu-west-1' } })).not.toThrow();
  });
});

describe('a rule for pulling through is refused when', () => {
  const refusalOf =
    (...pullThrough: NonNullable<ImageRegistryProps['pullThrough']>) =>
    () =>
      new ImageRegistry(newStack(), 'Registry', { pullThrough });

  test.each(['Hub', 'a', 'hub//x', '-hub', 'x'.repeat(31)])('its prefix is %s', (prefix) => {
    expect(refusalOf({ prefix, upstream: 'public.ecr.aws' })).toThrow(
      /^NAME_INVALID pullThrough\[0\]\.prefix: must be 2 to 30 lower-case/,
    );
  });

  test('two have one prefix', () => {
    expect(refusalOf({ prefix: 'hub', upstream: 'public.ecr.aws' }, { prefix: 'hub', upstream: 'quay.io' })).toThrow(
      "NAME_TAKEN pullThrough[1].prefix: 'hub' leads to another registry already",
    );
  });

  test('its secret has a name that ECR does not take', () => {
    const stack = newStack();
    const secrets = [
      secretsmanager.Secret.fromSecretNameV2(stack, 'Named', 'docker-hub'),
      new secretsmanager.Secret(stack, 'Made', {
        secretName: 'docker-hub',
        secretStringValue: SecretValue.unsafePlainText('x'),
      }),
    ];
    for (const credentials of secrets) {
      expect(refusalOf({ prefix: 'hub', upstream: 'registry-1.docker.io', credentials })).toThrow(
        "NAME_INVALID pullThrough[0].credentials: ECR takes secrets whose name begins with 'ecr-pullthroughcache/', got 'docker-hub'",
      );
    }
    const unnamed = new secretsmanager.Secret(stack, 'Unnamed');
    expect(refusalOf({ prefix: 'hub', upstream: 'registry-1.docker.io', credentials: unnamed })).not.toThrow();
  });
});
