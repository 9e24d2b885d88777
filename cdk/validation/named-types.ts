import { textsAt, type Resource, type TemplateView } from './template-view';

/** Where templates name machine types. `*` stands for each entry of a list. */
const PATHS: Readonly<Record<string, readonly string[]>> = {
  'AWS::EC2::Instance': ['InstanceType'],
  'AWS::EC2::LaunchTemplate': ['LaunchTemplateData', 'InstanceType'],
  'AWS::AutoScaling::LaunchConfiguration': ['InstanceType'],
  'AWS::AutoScaling::AutoScalingGroup': ['MixedInstancesPolicy', 'LaunchTemplate', 'Overrides', '*', 'InstanceType'],
  'AWS::ECS::CapacityProvider': [
    ...['ManagedInstancesProvider', 'InstanceLaunchTemplate', 'InstanceRequirements', 'AllowedInstanceTypes', '*'],
  ],
  'AWS::EKS::Nodegroup': ['InstanceTypes', '*'],
  'AWS::Batch::ComputeEnvironment': ['ComputeResources', 'InstanceTypes', '*'],
  'AWS::SageMaker::EndpointConfig': ['ProductionVariants', '*', 'InstanceType'],
};

/** Every resource that names machine types, with those it names. */
export function namedTypes(template: TemplateView): readonly { resource: Resource; types: readonly string[] }[] {
  return Object.entries(PATHS).flatMap(([type, path]) =>
    template.all(type).map((resource) => ({ resource, types: textsAt(resource.Properties, ...path) })),
  );
}
