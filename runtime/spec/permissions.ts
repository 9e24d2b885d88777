import type { ModelPlan } from './inference-service-plan';
import { modelPrefix } from './model-repository';

/**
 * What a replica may do with one model: read objects under the model's own prefix, nothing else. No listing: the
 * plan names every file, or the manifest does.
 * The prefix is the model's and not the version's, so that the running version and the one a rollback returns to are
 * both readable while a rollout is under way.
 */
export interface ModelPermission {
  readonly model: string;
  /** Below the root of the model repository, with the closing slash. */
  readonly prefix: string;
  readonly s3Actions: readonly string[];
}

export const READ_OBJECT_ACTIONS = ['s3:GetObject', 's3:GetObjectVersion'] as const;

export function planPermissions(models: readonly ModelPlan[]): readonly ModelPermission[] {
  return models.map(({ name }) => ({ model: name, prefix: modelPrefix(name), s3Actions: READ_OBJECT_ACTIONS }));
}
