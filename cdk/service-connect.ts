import { Duration, Size } from 'aws-cdk-lib';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as logs from 'aws-cdk-lib/aws-logs';
import { SpecError, type CompanionSpec, type InferenceServicePlan } from '../runtime/spec';

export interface ServiceConnectOptions {
  /** Cloud Map namespace that callers share. @default - the platform's, or the cluster's own */
  readonly namespace?: string;
  /** Name by which callers of the namespace ask. @default - the service's name */
  readonly dnsName?: string;
  /** Encrypts between proxies, with certificates of a private authority. @default - plain inside the VPC */
  readonly tls?: ecs.ServiceConnectTlsConfiguration;
}

/** What the proxy beside each replica takes, as ECS's developer guide advises. */
export const SERVICE_CONNECT_PROXY: CompanionSpec = { vcpu: 0.25, memoryMiB: 64 };

/** @throws SpecError SERVICE_CONNECT_NAMESPACE when neither the author nor the cluster names one. */
export function assertNamespace(cluster: ecs.ICluster, { namespace }: ServiceConnectOptions): void {
  if (namespace !== undefined || cluster.defaultCloudMapNamespace !== undefined) return;
  throw new SpecError(
    'SERVICE_CONNECT_NAMESPACE',
    'serviceConnect.namespace',
    `the cluster '${cluster.node.path}' has no namespace of its own; name one, or give the cluster defaultCloudMapNamespace`,
  );
}

/** The name and port by which callers of the namespace reach the service. */
export function serviceConnectUrl({ name, ports }: InferenceServicePlan, { dnsName }: ServiceConnectOptions): string {
  return `http://${dnsName ?? name}:${ports.http}`;
}

export function serviceConnectConfiguration(
  plan: InferenceServicePlan,
  { namespace, dnsName = plan.name, tls }: ServiceConnectOptions,
  logGroup: logs.ILogGroup,
): ecs.ServiceConnectProps {
  // The proxy would give up after 15 seconds, whatever a request may take.
  const timeout = Duration.seconds(plan.lifecycle.idleTimeoutSeconds);
  return {
    ...(namespace === undefined ? {} : { namespace }),
    services: (['http', 'grpc'] as const).map((kind) => ({
      portMappingName: kind,
      // Taken once per namespace, so that two services there do not answer for each other.
      discoveryName: `${plan.name}-${kind}`,
      dnsName,
      port: plan.ports[kind],
      idleTimeout: timeout,
      perRequestTimeout: timeout,
      ...(tls === undefined ? {} : { tls }),
    })),
    logDriver: ecs.LogDrivers.awsLogs({
      logGroup,
      streamPrefix: `${plan.name}-proxy`,
      mode: ecs.AwsLogDriverMode.NON_BLOCKING,
      maxBufferSize: Size.mebibytes(25),
    }),
  };
}
