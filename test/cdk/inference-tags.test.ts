import { Template } from 'aws-cdk-lib/assertions';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { InferenceTags } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { describeWithAndWithoutFlags, newGpuService, newStack, resourcesOf, theOnly } from './support/stacks';

describeWithAndWithoutFlags('InferenceTags', (stackOf) => {
  test('are on everything below that takes tags, and on the machines that a group starts', () => {
    const stack = stackOf();
    newGpuService(stack);
    InferenceTags.add(stack, { team: 'vision', environment: 'production', extra: { 'cost-centre': '42' } });
    const template = Template.fromStack(stack);
    const tags = [
      { Key: 'cost-centre', Value: '42' },
      { Key: 'slipway:environment', Value: 'production' },
      { Key: 'slipway:team', Value: 'vision' },
    ];
    for (const type of ['AWS::ECS::Service', 'AWS::ElasticLoadBalancingV2::LoadBalancer', 'AWS::Logs::LogGroup']) {
      for (const { Properties } of resourcesOf(template, type))
        expect(Properties.Tags).toEqual(expect.arrayContaining(tags));
    }
    const machines = theOnly(template, 'AWS::AutoScaling::AutoScalingGroup').Properties.Tags;
    expect(machines).toEqual(expect.arrayContaining(tags.map((tag) => ({ ...tag, PropagateAtLaunch: true }))));
  });
});

test('the tag of a scope further down wins', () => {
  const stack = newStack();
  const inner = new Construct(stack, 'Inner');
  new sqs.CfnQueue(inner, 'Queue');
  InferenceTags.add(stack, { team: 'platform' });
  InferenceTags.add(inner, { team: 'vision' });
  expect(theOnly(Template.fromStack(stack), 'AWS::SQS::Queue').Properties.Tags).toEqual([
    { Key: 'slipway:team', Value: 'vision' },
  ]);
});

test('what AWS does not take as a tag is refused where it is said', () => {
  for (const key of ['aws:team', '', 'k'.repeat(129), 'a#b']) {
    const extra = { [key]: 'vision' };
    expect(() => InferenceTags.add(newStack(), { team: 'vision', extra })).toThrow('TAG_INVALID extra: a key must be');
  }
  for (const team of ['', 'v'.repeat(257), 'vision;']) {
    expect(() => InferenceTags.add(newStack(), { team })).toThrow('TAG_INVALID slipway:team: must be 1 to 256');
  }
});
