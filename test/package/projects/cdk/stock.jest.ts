import * as cdk from 'aws-cdk-lib/core';
import { Template } from 'aws-cdk-lib/assertions';
import { SpecError } from 'slipway';
import { StockStack } from '../lib/stock-stack';

test('an inference service is an ECS service', () => {
  const template = Template.fromStack(new StockStack(new cdk.App(), 'MyTestStack'));
  template.resourceCountIs('AWS::ECS::Service', 1);
  template.hasResourceProperties('AWS::ElasticLoadBalancingV2::LoadBalancer', { Scheme: 'internal' });
});

test('errors keep their class across sub-paths', () => {
  expect(SpecError.is(new SpecError('NAME_INVALID', 'name', 'got nothing'))).toBe(true);
});
