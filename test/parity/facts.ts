import type { InferenceServiceSpec, KubernetesOptions } from 'slipway';

export const REPOSITORY = 'team-models';

/** A model in the bucket `team-models`: by the manifest that a publish left, or by what the author knows without one. */
export interface ParityModel {
  readonly name: string;
  readonly manifest?: string;
  readonly version?: number;
  readonly onnxFile?: string;
  readonly maxBatchSize?: number;
}

/** One spec, and the models that it serves. */
export interface ParityCase {
  readonly spec: Omit<InferenceServiceSpec, 'models'> & Pick<KubernetesOptions, 'wake'>;
  readonly models: readonly ParityModel[];
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
  permissions: Permission[];
}

export interface Permission {
  effect: string;
  actions: string[];
  /** `<bucket>/<prefix>/*` */
  object: string;
}

/** What policies allow of buckets, one line for each place, however statements and policies are cut. */
export function permissionsOf(statements: readonly any[], textOf: (arn: any) => string): Permission[] {
  const lines = statements.flatMap(({ Effect, Action, Resource }) =>
    [Resource].flat().map((arn) => ({
      effect: Effect as string,
      actions: [Action].flat() as string[],
      object: textOf(arn).split(':::')[1] ?? '',
    })),
  );
  const places = new Map(lines.filter(({ object }) => object !== '').map((line) => [JSON.stringify(line), line]));
  return [...places.values()].sort((a, b) => a.object.localeCompare(b.object));
}
