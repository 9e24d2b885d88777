import {
  dataOf,
  ecsUserData,
  gpuTypesIn,
  groupsOf,
  launchTemplatesOf,
  mayBeSpot,
  providersFor,
  typesOfLaunchTemplate,
} from '../ecs-view';
import { isUnknownGpuType } from '../gpu-types';
import { namedTypes } from '../named-types';
import { ruleAbout, type Complaint, type Rule } from '../rule';
import { numbersAt, textsAt, valuesAt, type Resource, type TemplateView } from '../template-view';

const LAUNCH_TEMPLATE = 'AWS::EC2::LaunchTemplate';
const LAUNCH_CONFIGURATION = 'AWS::AutoScaling::LaunchConfiguration';
const GROUP = 'AWS::AutoScaling::AutoScalingGroup';
const WARM_POOL = 'AWS::AutoScaling::WarmPool';

/** Rules about machines: their type, their image, how they boot and how they go. */
export const MACHINE_RULES = [
  unknownGpuType(),
  amazonLinux2(),

  ruleAbout(
    'LAUNCH_CONFIGURATION',
    LAUNCH_CONFIGURATION,
    'New accounts cannot create launch configurations.',
    (launch) => {
      const [type] = gpuTypesIn(textsAt(launch.Properties, 'InstanceType'));
      if (type === undefined) return undefined;
      return `starts ${type} by a launch configuration, which new accounts cannot create: use a launch template`;
    },
  ),

  ruleAbout(
    'GPU_TYPE_WITHOUT_GPU_IMAGE',
    LAUNCH_TEMPLATE,
    'On an image without the NVIDIA driver no task finds the GPU.',
    (launch, template) => {
      const [type] = gpuTypesIn(typesOfLaunchTemplate(launch, template));
      const image = imagesOf(launch, template).find(hasNoDriver);
      if (type === undefined || image === undefined) return undefined;
      return `starts ${type} from ${image}, which has no NVIDIA driver: take the GPU variant of that image`;
    },
  ),

  ruleAbout(
    'IMDS_V1',
    LAUNCH_TEMPLATE,
    'IMDSv1 answers whoever can make a machine send a request.',
    (launch, template) => {
      if (!isEcsMachine(launch, template)) return undefined;
      const tokens = valuesAt(dataOf(launch), 'MetadataOptions', 'HttpTokens');
      if (tokens.length > 0 && !tokens.includes('optional')) return undefined;
      return 'answers IMDSv1 requests, and with them hands out the role of the machine: set MetadataOptions.HttpTokens to required';
    },
  ),

  ruleAbout(
    'TASKS_REACH_IMDS',
    LAUNCH_TEMPLATE,
    'A task that reaches the metadata of its machine has the rights of the machine.',
    (launch) => {
      if (!ecsUserData(dataOf(launch)).some((script) => !script.includes('ECS_AWSVPC_BLOCK_IMDS=true')))
        return undefined;
      return 'lets tasks ask for the role of their machine: write ECS_AWSVPC_BLOCK_IMDS=true to /etc/ecs/ecs.config';
    },
  ),

  ruleAbout(
    'SPOT_WITHOUT_DRAINING',
    GROUP,
    'A spot machine that goes away with its tasks breaks their requests.',
    (group, template) => {
      if (!mayBeSpot(group, template)) return undefined;
      const scripts = launchTemplatesOf(group, template).flatMap((launch) => ecsUserData(dataOf(launch)));
      if (!scripts.some((script) => !script.includes('ECS_ENABLE_SPOT_INSTANCE_DRAINING=true'))) return undefined;
      return 'takes spot machines whose tasks are not drained at the notice of two minutes: write ECS_ENABLE_SPOT_INSTANCE_DRAINING=true to /etc/ecs/ecs.config';
    },
  ),

  ruleAbout(
    'WARM_POOL_WITH_SPOT',
    WARM_POOL,
    'EC2 Auto Scaling keeps no spot machines in a warm pool.',
    (pool, template) => {
      if (!groupsIn(pool, template).some((group) => mayBeSpot(group, template))) return undefined;
      return 'belongs to a group that takes spot machines, which cannot be kept warm: take on-demand ones, or no warm pool';
    },
  ),

  ruleAbout(
    'WARM_POOL_REUSE',
    WARM_POOL,
    'A machine that ECS has drained cannot go back to a warm pool.',
    (pool, template) => {
      const reuses = textsAt(pool.Properties, 'InstanceReusePolicy', 'ReuseOnScaleIn').includes('true');
      if (!reuses || !isBehindProvider(pool, template)) return undefined;
      return 'ReuseOnScaleIn is true behind an ECS capacity provider, which does not take machines back: leave it out';
    },
  ),

  ruleAbout(
    'WARM_POOL_UNCHECKED',
    WARM_POOL,
    'An ECS agent that does not ask about warm pools registers machines that are about to stop.',
    (pool, template) => {
      if (!isBehindProvider(pool, template)) return undefined;
      const scripts = groupsIn(pool, template)
        .flatMap((group) => launchTemplatesOf(group, template))
        .flatMap((launch) => ecsUserData(dataOf(launch)));
      if (!scripts.some((script) => !script.includes('ECS_WARM_POOLS_CHECK=true'))) return undefined;
      return 'machines of this warm pool join the cluster before they are in service: write ECS_WARM_POOLS_CHECK=true to /etc/ecs/ecs.config';
    },
  ),

  ruleAbout(
    'MANAGED_DRAINING_OFF',
    'AWS::ECS::CapacityProvider',
    'A machine that is scaled in without draining takes its tasks with it.',
    (provider) => {
      const [group] = valuesAt(provider.Properties, 'AutoScalingGroupProvider');
      if (group === undefined) return undefined;
      const draining = valuesAt(group, 'ManagedDraining');
      if (draining.length > 0 && !draining.includes('DISABLED')) return undefined;
      return `ManagedDraining is ${draining.length > 0 ? 'DISABLED' : 'not set'}, so that a machine may go with its tasks running: set it to ENABLED`;
    },
  ),

  ruleAbout(
    'DESIRED_CAPACITY_SET',
    GROUP,
    'A template that states a desired capacity resets the machines at every deployment.',
    (group, template) => {
      const [capacity] = numbersAt(group.Properties, 'DesiredCapacity');
      if (capacity === undefined || providersFor(group, template).length === 0) return undefined;
      return `DesiredCapacity is ${capacity}, to which every deployment resets what the capacity provider chose: leave it out`;
    },
  ),
] as const;

function unknownGpuType(): Rule<'UNKNOWN_GPU_TYPE'> {
  return {
    id: 'UNKNOWN_GPU_TYPE',
    severity: 'warning',
    about: 'A type that AWS does not have starts no machine.',
    *check(template) {
      for (const { resource, types } of namedTypes(template)) {
        const unknown = types.find(isUnknownGpuType);
        if (unknown === undefined) continue;
        yield {
          resource,
          message: `'${unknown}' is named like a GPU type, and none of that name is known: look at its spelling`,
        };
      }
    },
  };
}

function amazonLinux2(): Rule<'AMAZON_LINUX_2_IMAGE'> {
  return {
    id: 'AMAZON_LINUX_2_IMAGE',
    severity: 'error',
    about: 'Images of Amazon Linux 2 get no drivers and no fixes any more.',
    *check(template): Iterable<Complaint> {
      for (const { resource, image } of imagesNamedIn(template)) {
        if (/\/amazon-linux-2\/|amzn2-ami|^AL2_|^ECS_AL2(_|$)/.test(image)) {
          yield {
            resource,
            message: `boots from ${image}, an Amazon Linux 2 image, which gets no new drivers: take one of Amazon Linux 2023`,
          };
        }
      }
    },
  };
}

function* imagesNamedIn(template: TemplateView): Iterable<{ resource: Resource; image: string }> {
  for (const resource of template.all(LAUNCH_TEMPLATE)) yield* named(resource, imagesOf(resource, template));
  for (const resource of template.all(LAUNCH_CONFIGURATION)) {
    yield* named(resource, readImages(resource.Properties, template));
  }
  for (const resource of template.all('AWS::EKS::Nodegroup')) {
    yield* named(resource, textsAt(resource.Properties, 'AmiType'));
  }
  for (const resource of template.all('AWS::Batch::ComputeEnvironment')) {
    yield* named(resource, textsAt(resource.Properties, 'ComputeResources', 'Ec2Configuration', '*', 'ImageType'));
  }
}

function named(resource: Resource, images: readonly string[]): readonly { resource: Resource; image: string }[] {
  return images.slice(0, 1).map((image) => ({ resource, image }));
}

function imagesOf(launchTemplate: Resource, template: TemplateView): readonly string[] {
  return readImages(dataOf(launchTemplate), template);
}

function readImages(data: unknown, template: TemplateView): readonly string[] {
  return valuesAt(data, 'ImageId').flatMap((image) => template.textOf(image) ?? []);
}

/** Whether an image that AWS publishes is one without the driver; nothing is known of the images of others. */
function hasNoDriver(image: string): boolean {
  if (/gpu|nvidia|neuron/i.test(image)) return false;
  return (
    /\/ecs\/optimized-ami\/amazon-linux-(2|2023)\//.test(image) ||
    /\/ami-amazon-linux-latest\//.test(image) ||
    /\/bottlerocket\/aws-ecs-\d/.test(image)
  );
}

function isEcsMachine(launchTemplate: Resource, template: TemplateView): boolean {
  return (
    ecsUserData(dataOf(launchTemplate)).length > 0 ||
    template
      .all('AWS::ECS::CapacityProvider')
      .flatMap((provider) => groupsOf(provider, template))
      .some((group) => launchTemplatesOf(group, template).includes(launchTemplate))
  );
}

function groupsIn(pool: Resource, template: TemplateView): readonly Resource[] {
  return template.referred(pool.Properties?.['AutoScalingGroupName'], GROUP);
}

function isBehindProvider(pool: Resource, template: TemplateView): boolean {
  return groupsIn(pool, template).some((group) => providersFor(group, template).length > 0);
}
