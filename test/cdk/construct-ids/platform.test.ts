import { Stack } from 'aws-cdk-lib';
import { InferencePlatform, InferenceService, Model } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { idsOf } from '../support/construct-ids';
import { newApp, newGpuPlatform, newPlatform } from '../support/platforms';
import { DIGITS, imageByDigest } from '../support/stacks';

test('the ids of a platform', () => {
  const platform = newGpuPlatform(newApp());
  expect(idsOf(platform)).toMatchInlineSnapshot(`
    [
      "Vpc",
      "Logs",
      "Endpoints",
      "Cluster",
      "LoadBalancer",
      "Parameters",
      "Groups",
    ]
  `);
  expect(idsOf(platform.node.findChild('Endpoints'))).toMatchInlineSnapshot(`
    [
      "SecurityGroup",
      "ecr.api",
      "ecr.dkr",
      "logs",
      "ecs",
      "ecs-agent",
      "ecs-telemetry",
    ]
  `);
  expect(idsOf(platform.node.findChild('Parameters'))).toMatchInlineSnapshot(`
    [
      "vpc-id",
      "subnets",
      "cluster-name",
      "listener-arn",
      "load-balancer-name",
      "load-balancer-dns",
      "load-balancer-security-group",
      "capacity-l4",
      "capacity-a10",
    ]
  `);
  expect(idsOf(platform.node.findChild('Groups'))).toMatchInlineSnapshot(`
    [
      "l4",
      "a10",
    ]
  `);
});

test('the ids of a platform that was joined', () => {
  const { facts } = newGpuPlatform(newApp());
  const joined = InferencePlatform.fromFacts(new Stack(newApp(), 'Team'), 'Platform', facts);
  for (const part of ['vpc', 'cluster', 'sharedListener'] as const) expect(joined[part]).toBe(joined[part]);
  expect(idsOf(joined)).toMatchInlineSnapshot(`
    [
      "Vpc",
      "Cluster",
      "LoadBalancerSecurityGroup",
      "Listener",
    ]
  `);
});

test('the ids by which a service without a load balancer is found, and of the group that a caller finds', () => {
  const { facts } = newPlatform(undefined, { namespace: 'inference' });
  const team = new Stack(newApp(), 'Team');
  const platform = InferencePlatform.fromFacts(team, 'Platform', facts);
  const service = new InferenceService(team, 'Digits', {
    platform,
    loadBalancer: false,
    serviceConnect: {},
    image: imageByDigest(team),
    models: [Model.fromAsset(DIGITS)],
  });
  expect(idsOf(service.node.findChild('Parameters'))).toEqual(['connect-url', 'security-group', 'ecs-service']);
  const caller = new Stack(newApp(), 'Caller');
  const joined = InferencePlatform.fromFacts(caller, 'Platform', facts);
  InferenceService.fromPlatform(caller, 'Digits', joined, 'digits', { loadBalancer: false });
  expect(idsOf(caller)).toEqual(expect.arrayContaining(['Platform', 'DigitsSecurityGroup', 'Digits']));
});
