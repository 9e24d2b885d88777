import { modelAt, type InferenceServiceArgs } from '../../../pulumi';
import { digitsFacts } from './digits-facts';

export const SERVICES = 20;

export function serviceArgs(): InferenceServiceArgs {
  return {
    namespace: 'inference',
    image: `registry.example.com/slipway@sha256:${'ab'.repeat(32)}`,
    models: [modelAt('s3://team-models', 'digits', { version: 1, facts: digitsFacts })],
    minReplicas: 1,
    maxReplicas: 4,
  };
}
