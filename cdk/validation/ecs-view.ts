import { isGpuType } from './gpu-types';
import { numbersAt, readableText, textsAt, valuesAt, type Resource, type TemplateView } from './template-view';

const GROUP = 'AWS::AutoScaling::AutoScalingGroup';
const LAUNCH_TEMPLATE = 'AWS::EC2::LaunchTemplate';
const PROVIDER = 'AWS::ECS::CapacityProvider';

/** Containers of a task definition. */
export function containersOf(task: Resource): readonly unknown[] {
  return valuesAt(task.Properties, 'ContainerDefinitions', '*');
}

/** GPUs that a container asks for. */
export function gpusOf(container: unknown): number {
  const requirements = valuesAt(container, 'ResourceRequirements', '*').filter((each) =>
    textsAt(each, 'Type').includes('GPU'),
  );
  return requirements.reduce<number>((sum, each) => sum + Math.max(0, ...numbersAt(each, 'Value')), 0);
}

export function gpusOfTask(task: Resource): number {
  return containersOf(task).reduce<number>((sum, container) => sum + gpusOf(container), 0);
}

export function containerName(container: unknown): string {
  return textsAt(container, 'Name')[0] ?? 'of no name';
}

export function isFargate(task: Resource): boolean {
  const kinds = textsAt(task.Properties, 'RequiresCompatibilities', '*');
  return kinds.includes('FARGATE') && !kinds.includes('EC2') && !kinds.includes('MANAGED_INSTANCES');
}

/** Task definitions that a service runs, of this template. */
export function tasksOf(service: Resource, template: TemplateView): readonly Resource[] {
  return template.referred(service.Properties?.['TaskDefinition'], 'AWS::ECS::TaskDefinition');
}

/** GPUs that one task of a service takes. */
export function gpusOfService(service: Resource, template: TemplateView): number {
  return Math.max(0, ...tasksOf(service, template).map(gpusOfTask));
}

/** Capacity providers of a service that are of this template. */
export function providersOf(service: Resource, template: TemplateView): readonly Resource[] {
  return template.referred(service.Properties?.['CapacityProviderStrategy'], PROVIDER);
}

/** Capacity providers that scale a group. */
export function providersFor(group: Resource, template: TemplateView): readonly Resource[] {
  return template.all(PROVIDER).filter((provider) => groupsOf(provider, template).includes(group));
}

export function groupsOf(provider: Resource, template: TemplateView): readonly Resource[] {
  return template.referred(valuesAt(provider.Properties, 'AutoScalingGroupProvider'), GROUP);
}

export function launchTemplatesOf(group: Resource, template: TemplateView): readonly Resource[] {
  return template.referred(group.Properties, LAUNCH_TEMPLATE);
}

/** Types a group starts. @returns undefined where one is not said by its name */
export function typesOf(group: Resource, template: TemplateView): readonly string[] | undefined {
  const overrides = valuesAt(group.Properties, 'MixedInstancesPolicy', 'LaunchTemplate', 'Overrides', '*');
  const sources = overrides.length > 0 ? overrides : launchTemplatesOf(group, template).map(dataOf);
  const types = sources.map((source) => textsAt(source, 'InstanceType'));
  return types.length > 0 && types.every((each) => each.length > 0) ? types.flat() : undefined;
}

/** What a launch template says of its machines. */
export function dataOf(launchTemplate: Resource): unknown {
  return launchTemplate.Properties?.['LaunchTemplateData'];
}

/** Types of all machines that a launch template starts, here and in groups that override its own. */
export function typesOfLaunchTemplate(launchTemplate: Resource, template: TemplateView): readonly string[] {
  const groups = template.all(GROUP).filter((group) => launchTemplatesOf(group, template).includes(launchTemplate));
  const overridden = groups.flatMap((group) => typesOf(group, template) ?? []);
  return [...new Set([...textsAt(dataOf(launchTemplate), 'InstanceType'), ...overridden])];
}

export function gpuTypesIn(types: readonly string[]): readonly string[] {
  return types.filter(isGpuType);
}

/** Scripts of machines that join an ECS cluster; none for Bottlerocket, whose user data is settings. */
export function ecsUserData(data: unknown): readonly string[] {
  return valuesAt(data, 'UserData')
    .map(readableText)
    .filter((script) => script.includes('ECS_CLUSTER'));
}

/** Whether a group may start spot machines. */
export function mayBeSpot(group: Resource, template: TemplateView): boolean {
  const distribution = valuesAt(group.Properties, 'MixedInstancesPolicy', 'InstancesDistribution');
  const isMixed = numbersAt(distribution, '*', 'OnDemandPercentageAboveBaseCapacity').some((percent) => percent < 100);
  return (
    isMixed ||
    launchTemplatesOf(group, template).some((launchTemplate) =>
      textsAt(dataOf(launchTemplate), 'InstanceMarketOptions', 'MarketType').includes('spot'),
    )
  );
}

/** How traffic moves to a new revision: `CANARY`, `LINEAR`, `BLUE_GREEN`, or nothing when tasks are replaced in place. */
export function shiftOf(service: Resource): string | undefined {
  return textsAt(service.Properties, 'DeploymentConfiguration', 'Strategy').find((each) => each !== 'ROLLING');
}
