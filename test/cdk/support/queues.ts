import type { Stack } from 'aws-cdk-lib';
import { AsyncInferenceService, Model, type AsyncInferenceServiceProps } from 'slipway/cdk';
import { DIGITS, imageByDigest, newCluster } from './stacks';

/** A service that answers messages of a queue, on Fargate unless it is told otherwise. */
export function newAsyncService(stack: Stack, props: Partial<AsyncInferenceServiceProps> = {}): AsyncInferenceService {
  return new AsyncInferenceService(stack, 'Digits', {
    cluster: props.cluster ?? newCluster(stack),
    image: imageByDigest(stack),
    models: [Model.fromAsset(DIGITS)],
    ...props,
  });
}
