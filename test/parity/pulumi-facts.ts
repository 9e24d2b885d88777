import * as pulumi from '@pulumi/pulumi';
import { permissionsOf, REPOSITORY, type Facts, type ParityCase } from './facts';

/** What Kubernetes and AWS would be told about the service, as facts that do not depend on the engine. */
export async function pulumiFacts({ spec, models }: ParityCase): Promise<Facts> {
  const declared: pulumi.runtime.MockResourceArgs[] = [];
  await pulumi.runtime.setMocks({
    newResource: (args) => {
      declared.push(args);
      // What the provider would compute and the program reads.
      const computed =
        args.type === 'aws:s3/bucket:Bucket' ? { arn: `arn:aws:s3:::${REPOSITORY}`, region: 'eu-west-1' } : {};
      const id = args.type === 'aws:s3/bucket:Bucket' ? REPOSITORY : `${args.name}-id`;
      return { id, state: { ...args.inputs, ...computed } };
    },
    call: ({ inputs }) => inputs,
  });
  const { InferenceService } = await import('slipway/pulumi');
  const { ModelBucket, WorkloadIdentity } = await import('slipway/pulumi/aws');

  const { name, capacity: _ecsOnly, instanceTypes = [], ...decisions } = spec;
  const bucket = new ModelBucket('models');
  const served = models.map(({ name: model, ...source }) => bucket.model(model, source));
  const identity = new WorkloadIdentity(name, {
    cluster: { name: 'prod' },
    namespace: 'inference',
    reads: served,
  });
  const service = new InferenceService(name, {
    ...decisions,
    instanceTypes: [...instanceTypes],
    namespace: 'inference',
    image: `registry.example.com/slipway@sha256:${'1'.repeat(64)}`,
    models: served,
    identity: identity.binding,
  });
  await new Promise((resolve) => pulumi.all([service.url, identity.association!.id]).apply(resolve));

  return readObjects(declared, name);
}

/** One resource that a program declares. */
export interface Declared {
  readonly type: string;
  readonly inputs: any;
}

/** What Kubernetes and AWS would be told about a service of a program, by its name and its namespace. */
export function readObjects(declared: readonly Declared[], name: string, namespace = 'inference'): Facts {
  const of = (type: RegExp, named = name): any[] =>
    declared
      .filter((resource) => type.test(resource.type))
      .map(({ inputs }) => inputs)
      .filter(({ metadata }) => metadata.name === named && metadata.namespace === namespace);
  const [{ spec: deployment }] = of(/^kubernetes:apps\/v1:Deployment$/);
  const pod = deployment.template.spec;
  const [container] = pod.containers;
  const [{ spec: autoscaler }] = of(/:(HorizontalPodAutoscaler|ScaledObject)$/);
  const policies = declared.filter(({ type }) => type === 'aws:iam/rolePolicy:RolePolicy');
  const quantity = container.resources.limits;
  return {
    environment: Object.fromEntries(container.env.map(({ name, value }: any) => [name, value])),
    annotations: deployment.template.metadata.annotations,
    ports: Object.fromEntries(container.ports.map(({ name, containerPort }: any) => [name, containerPort])),
    resources: {
      vcpu: readQuantity(quantity.cpu),
      memoryMiB: readQuantity(quantity.memory) / 2 ** 20,
      gpuCount: Number(quantity['nvidia.com/gpu'] ?? 0),
    },
    security: {
      user: pod.securityContext.runAsUser,
      readOnlyRoot: container.securityContext.readOnlyRootFilesystem,
      privileged: container.securityContext.allowPrivilegeEscalation,
      droppedCapabilities: container.securityContext.capabilities.drop,
    },
    lifecycle: {
      readyPath: container.readinessProbe.httpGet.path,
      startupSeconds: container.startupProbe.periodSeconds * container.startupProbe.failureThreshold,
      stopSeconds: pod.terminationGracePeriodSeconds,
      livenessPeriodSeconds: container.livenessProbe.periodSeconds,
      livenessTimeoutSeconds: container.livenessProbe.timeoutSeconds,
      livenessFailures: container.livenessProbe.failureThreshold,
    },
    rollout: {
      spareReplica: deployment.strategy.rollingUpdate.maxSurge > 0,
      mayGoBelow: deployment.strategy.rollingUpdate.maxUnavailable > 0,
    },
    scaling: readAutoscaler(autoscaler),
    permissions: permissionsOf(
      policies.flatMap(({ inputs }) => JSON.parse(inputs.policy).Statement),
      (arn: string) => arn,
    ),
  };
}

const UNITS: Record<string, number> = { '': 1, Mi: 2 ** 20, Gi: 2 ** 30 };

/** A quantity as Kubernetes understands it. */
function readQuantity(quantity: string): number {
  const [, amount, unit] = /^(\d+)(\D*)$/.exec(quantity)!;
  return unit === 'm' ? Number(amount) / 1000 : Number(amount) * UNITS[unit!]!;
}

function readAutoscaler(spec: any): Facts['scaling'] {
  if (spec.triggers !== undefined) {
    const { query, threshold } = spec.triggers[0].metadata;
    return {
      minReplicas: spec.minReplicaCount,
      maxReplicas: spec.maxReplicaCount,
      target: Number(threshold),
      metric: /\((\w+)\{/.exec(query)![1]!,
    };
  }
  const { pods, containerResource: resource } = spec.metrics[0];
  if (resource !== undefined) {
    const target = resource.target.averageUtilization / 100;
    return { minReplicas: spec.minReplicas, maxReplicas: spec.maxReplicas, target, metric: resource.name };
  }
  return {
    minReplicas: spec.minReplicas,
    maxReplicas: spec.maxReplicas,
    target: readQuantity(pods.target.averageValue),
    metric: pods.metric.name,
  };
}
