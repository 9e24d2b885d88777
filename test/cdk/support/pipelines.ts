import type { Stack } from 'aws-cdk-lib';
import type { Template } from 'aws-cdk-lib/assertions';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { ModelPipeline, type ModelPipelineProps } from 'slipway/cdk';
import { evaluate } from './evaluate-template';
import { newRolledOutService } from './models';
import type { StateMachine } from './run-states';
import { imageByDigest, resourcesOf } from './stacks';

export interface PipelineSurroundings {
  /** @default 'none', as pipelines ask */
  readonly trigger?: 'manifest' | 'none';
  /** Candidates lie among the versions of the model. @default false */
  readonly sourceIsModels?: boolean;
}

/** A pipeline beside a service and the rollout of its model, with candidates in a bucket of their own. */
export function newPipeline(
  stack: Stack,
  manifest: string,
  props: Partial<ModelPipelineProps> = {},
  { trigger = 'none', sourceIsModels = false }: PipelineSurroundings = {},
): ModelPipeline {
  const { rollout, service, models } = newRolledOutService(stack, manifest, { trigger });
  const source = sourceIsModels
    ? { bucket: models.bucket, prefix: 'digits/new/' }
    : { bucket: new s3.Bucket(stack, 'Candidates'), prefix: 'incoming/digits/' };
  const image = imageByDigest(stack, 'StepImages');
  return new ModelPipeline(stack, 'Pipeline', { rollout, cluster: service.cluster, image, source, ...props });
}

/** The state machine of the pipeline, with names for what only a deployment knows. */
export function pipelineStates(template: Template): StateMachine {
  const machine = resourcesOf(template, 'AWS::StepFunctions::StateMachine').find(({ id }) =>
    id.startsWith('Pipeline'),
  )!;
  const buckets = resourcesOf(template, 'AWS::S3::Bucket');
  const names: Record<string, string> = { 'AWS::Partition': 'aws' };
  for (const { id } of buckets) names[id] = id.startsWith('Models') ? 'models' : 'candidates';
  for (const [id] of Object.entries(template.toJSON()['Resources'] as object)) {
    names[id] ??= id.startsWith('Rollout') ? 'Rollout' : id;
    for (const attribute of ['Arn', 'GroupId']) names[`${id}.${attribute}`] = names[id]!;
  }
  return JSON.parse(evaluate(machine.Properties.DefinitionString, names) as string) as StateMachine;
}
