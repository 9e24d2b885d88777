import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ssm from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';
import { assertSameStack, type IInferencePlatform } from './platform';

/**
 * What a service says of itself: where it is reached through the listener, or by name in a namespace and then which group
 * lets callers in, and what ECS calls it.
 */
export type ServiceParameter = 'url' | 'connect-url' | 'security-group' | 'ecs-service';

/** Where a service of a platform says how it is reached, for callers in other stacks and apps. */
export function serviceParameterName(
  { parameterPrefix }: IInferencePlatform,
  serviceName: string,
  parameter: ServiceParameter,
): string {
  return `${parameterPrefix}/services/${serviceName}/${parameter}`;
}

/** A service as it says how it is reached. */
export interface PublishedService extends Construct {
  readonly serviceName: string;
  readonly url: string;
  readonly securityGroup: ec2.ISecurityGroup;
  /** undefined without a load balancer. */
  readonly listener?: object;
}

/**
 * Publishes how the service is reached, for callers in other stacks and apps.
 * @throws SpecError CLUSTER_MISMATCH when the platform is of another stack.
 */
export function publishService(service: PublishedService, platform: IInferencePlatform, ecsServiceName: string): void {
  assertSameStack(service, platform);
  const parameters = new Construct(service, 'Parameters');
  const { url, securityGroup, listener } = service;
  // A caller that took one kind of service for the other would be let in where nobody hears it: it finds no parameter.
  const values: Partial<Record<ServiceParameter, string>> = {
    ...(listener === undefined ? { 'connect-url': url, 'security-group': securityGroup.securityGroupId } : { url }),
    'ecs-service': ecsServiceName,
  };
  for (const [parameter, stringValue] of Object.entries(values) as [ServiceParameter, string][]) {
    new ssm.StringParameter(parameters, parameter, {
      parameterName: serviceParameterName(platform, service.serviceName, parameter),
      stringValue,
    });
  }
}
