import { App, Stack, Validations } from 'aws-cdk-lib';
import { Cluster } from 'aws-cdk-lib/aws-ecs';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { planInferenceService } from 'slipway';
import { InferenceService, Model } from 'slipway/cdk';
import { InferenceRules } from 'slipway/cdk/validation';
import { scrubTemplate } from 'slipway/testing';

const app = new App({ outdir: 'cdk.out' });
Validations.of(app).addPlugins(new InferenceRules());
const stack = new Stack(app, 'EsmStack');
const model = Model.fromAsset('../models/digits/model.onnx');
const service = new InferenceService(stack, 'Digits', {
  cluster: new Cluster(stack, 'Cluster', { vpc: new Vpc(stack, 'Vpc') }),
  models: [model],
  plaintextInsideVpc: true,
});
// The plan of the construct is what the library on its own decides.
const plan = planInferenceService({ name: 'digits', models: [model.spec] });
const { template } = app.synth().getStackByName('EsmStack') as { template: object };
console.log(
  JSON.stringify({
    esm: import.meta.url.endsWith('app.js'),
    same: plan.resources.memoryMiB === service.plan.resources.memoryMiB,
    scrubbed: !('Rules' in scrubTemplate(template)),
  }),
);
