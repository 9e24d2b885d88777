import { join } from 'node:path';
import type { Stack } from 'aws-cdk-lib';
import { type Template } from 'aws-cdk-lib/assertions';
import { type InferenceService, Model, ModelBucket, ModelRollout, type ModelRolloutProps } from 'slipway/cdk';
import { publishModel, type PublishedModel } from '../../../runtime/model/publish-model';
import { evaluate } from './evaluate-template';
import type { StateMachine } from './run-states';
import { DIGITS, folderWith, newFargateService, resourcesOf } from './stacks';

export interface PublishedDigits extends PublishedModel {
  readonly repository: string;
  /** Path of the copy that the program reads. */
  readonly manifestFile: string;
}

/** A version of the sample model in a model repository on this machine. */
export async function publishDigits(version: number, repository = folderWith({})): Promise<PublishedDigits> {
  const manifestFile = join(repository, `digits-${version}.manifest.json`);
  const published = await publishModel({ source: DIGITS, name: 'digits', repository, version, manifestFile });
  return { ...published, repository, manifestFile };
}

export interface RolledOutService {
  readonly model: Model;
  readonly models: ModelBucket;
  readonly service: InferenceService;
  readonly rollout: ModelRollout;
}

/** A service on Fargate whose model is rolled out from a bucket of the same stack. */
export function newRolledOutService(
  stack: Stack,
  manifest: string,
  props: Partial<ModelRolloutProps> = {},
): RolledOutService {
  const models = new ModelBucket(stack, 'Models');
  const model = Model.rolledOutFromBucket(models, 'digits', { manifest });
  const service = newFargateService(stack, { plaintextInsideVpc: true, models: [model] });
  const rollout = new ModelRollout(stack, 'Rollout', { model, ...props });
  return { model, models, service, rollout };
}

export const STACK_ID = 'arn:aws:cloudformation:eu-west-1:111122223333:stack/Stack/0';

/** The state machine of a template, with names for what only a deployment knows. */
export function stateMachineOf(template: Template, bucketName = 'models'): StateMachine {
  const [machine] = resourcesOf(template, 'AWS::StepFunctions::StateMachine');
  const bucket = resourcesOf(template, 'AWS::S3::Bucket').find(({ id }) => id.startsWith('Models'))!;
  const names = { 'AWS::Partition': 'aws', 'AWS::StackId': STACK_ID, [bucket.id]: bucketName };
  return JSON.parse(evaluate(machine!.Properties.DefinitionString, names) as string) as StateMachine;
}
