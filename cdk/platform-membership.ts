import * as ssm from 'aws-cdk-lib/aws-ssm';
import { Construct } from 'constructs';
import { assertSameStack, type IInferencePlatform } from './platform';

/** Where a service of a platform says how it is reached, for callers in other stacks and apps. */
export function serviceParameterName(
  { parameterPrefix }: IInferencePlatform,
  serviceName: string,
  parameter: 'url' | 'ecs-service',
): string {
  return `${parameterPrefix}/services/${serviceName}/${parameter}`;
}

/**
 * Publishes how the service is reached, for callers in other stacks and apps.
 * @throws SpecError CLUSTER_MISMATCH when the platform is of another stack.
 */
export function publishService(
  service: Construct & { readonly serviceName: string; readonly url: string },
  platform: IInferencePlatform,
  ecsServiceName: string,
): void {
  assertSameStack(service, platform);
  const parameters = new Construct(service, 'Parameters');
  const values = { url: service.url, 'ecs-service': ecsServiceName } as const;
  for (const [parameter, stringValue] of Object.entries(values) as [keyof typeof values, string][]) {
    new ssm.StringParameter(parameters, parameter, {
      parameterName: serviceParameterName(platform, service.serviceName, parameter),
      stringValue,
    });
  }
}
