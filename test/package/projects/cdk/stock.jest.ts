import * as cdk from 'aws-cdk-lib/core';
import { Template } from 'aws-cdk-lib/assertions';
import { SpecError } from 'slipway';
import { checkTemplate } from 'slipway/cdk/validation';
import { goldenDifference, synthSeconds } from 'slipway/testing';
import { StockStack } from '../lib/stock-stack';

const templateOf = () => Template.fromStack(new StockStack(new cdk.App(), 'MyTestStack')).toJSON();

test('an inference service is an ECS service', () => {
  const template = Template.fromStack(new StockStack(new cdk.App(), 'MyTestStack'));
  template.resourceCountIs('AWS::ECS::Service', 1);
  template.hasResourceProperties('AWS::ElasticLoadBalancingV2::LoadBalancer', { Scheme: 'internal' });
});

test('errors keep their class across sub-paths', () => {
  expect(SpecError.is(new SpecError('NAME_INVALID', 'name', 'got nothing'))).toBe(true);
});

test('no rule about GPUs and inference finds anything', () => {
  expect(checkTemplate(templateOf())).toEqual([]);
});

test('the template is the reviewed one', () => {
  const golden = templateOf(); // in your project: JSON.parse(readFileSync('test/golden.json', 'utf8'))
  expect(goldenDifference(golden, templateOf())).toBeUndefined();
});

test('the time of a synthesis is known', () => {
  const timing = synthSeconds(
    () => {
      const app = new cdk.App();
      new StockStack(app, 'MyTestStack');
      return app;
    },
    { runs: 1 },
  );
  expect(timing.median).toBeGreaterThan(0);
});
