import type { InferenceServiceSpec } from 'slipway';

export const REPOSITORY = 'team-models';

/** One spec, and the manifest of the model that it serves from the bucket `team-models`. */
export interface ParityCase {
  readonly spec: InferenceServiceSpec;
  readonly manifest: string;
}

/** What an engine declares about a service, in words that no engine owns. */
export interface Facts {
  environment: Record<string, string>;
  annotations: Record<string, string>;
  ports: Record<string, number>;
  resources: { vcpu: number; memoryMiB: number; gpuCount: number };
  security: { user: number; readOnlyRoot: boolean; privileged: boolean; droppedCapabilities: string[] };
  lifecycle: {
    readyPath: string;
    startupSeconds: number;
    stopSeconds: number;
    livenessPeriodSeconds: number;
    livenessTimeoutSeconds: number;
    livenessFailures: number;
  };
  rollout: { spareReplica: boolean; mayGoBelow: boolean };
  scaling: { minReplicas: number; maxReplicas: number; target: number; metric: string };
  permissions: { effect: string; actions: string[]; objects: string[] }[];
}
