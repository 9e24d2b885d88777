import { App, Stack } from 'aws-cdk-lib';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { ImageRepository, ModelBucket } from 'slipway/cdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { emptyFolder } from './support/cdk-cli';
import { FLAGS, newFargateService, newGpuService } from './support/stacks';

// The other files turn this off: it costs two seconds and 310 MB in every process.
let turnedOff: string | undefined;
beforeAll(() => {
  turnedOff = process.env['CDK_VALIDATION'];
  delete process.env['CDK_VALIDATION'];
});
afterAll(() => {
  process.env['CDK_VALIDATION'] = turnedOff;
});

function strictApp(flags: Record<string, unknown>): App {
  const context = { ...flags, '@aws-cdk/core:validateAgainstDefaultRules': true };
  return new App({ context, outdir: emptyFolder(), analyticsReporting: false });
}

for (const [set, flags] of Object.entries(FLAGS)) {
  test(`CDK's own rules find nothing in any construct (${set} flags)`, () => {
    const app = strictApp(flags);
    newFargateService(new Stack(app, 'Fargate'));
    newGpuService(new Stack(app, 'Gpu'));
    newGpuService(new Stack(app, 'NoSpare'), { spareReplica: false, preset: 'development' });
    const stores = new Stack(app, 'Stores');
    new ImageRepository(stores, 'Images');
    new ModelBucket(stores, 'Models');
    app.synth();
  });
}

test('the rules are on: a target group that no load balancer takes is an error', () => {
  const app = strictApp(FLAGS.recommended);
  const service = newFargateService(new Stack(app, 'Fargate'));
  const targetGroup = service.targetGroup!.node.defaultChild as elbv2.CfnTargetGroup;
  targetGroup.addPropertyOverride('HealthCheckTimeoutSeconds', 4_000);
  expect(() => app.synth()).toThrow('HealthCheckTimeoutSeconds');
});
