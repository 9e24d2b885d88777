import { gpuTypesIn } from '../ecs-view';
import { ruleAbout } from '../rule';
import { textsAt, valuesAt } from '../template-view';

/** Rules about services that keep machines by themselves: EKS, Batch and SageMaker. */
export const MANAGED_RULES = [
  ruleAbout(
    'EKS_GPU_AMI_TYPE',
    'AWS::EKS::Nodegroup',
    'The default image of a node group has no NVIDIA driver.',
    (group) => {
      const [type] = gpuTypesIn(textsAt(group.Properties, 'InstanceTypes', '*'));
      const images = valuesAt(group.Properties, 'AmiType');
      const wrong = images.find(
        (each): each is string => typeof each === 'string' && !/NVIDIA|NEURON|CUSTOM|_GPU/.test(each),
      );
      if (type === undefined || (images.length > 0 && wrong === undefined)) return undefined;
      return `starts ${type} with AmiType ${wrong ?? 'not set'}, so without the NVIDIA driver: set AL2023_x86_64_NVIDIA or BOTTLEROCKET_x86_64_NVIDIA`;
    },
  ),

  ruleAbout(
    'BATCH_GPU_IMAGE',
    'AWS::Batch::ComputeEnvironment',
    'The image that Batch chooses for GPU types by itself is one of Amazon Linux 2.',
    (environment) => {
      const [type] = gpuTypesIn(textsAt(environment.Properties, 'ComputeResources', 'InstanceTypes', '*'));
      const images = valuesAt(environment.Properties, 'ComputeResources', 'Ec2Configuration', '*', 'ImageType');
      const isSaid = images.some((each) => typeof each !== 'string' || each.includes('NVIDIA'));
      if (type === undefined || isSaid) return undefined;
      return `starts ${type} and does not say its image: set Ec2Configuration ImageType to ECS_AL2023_NVIDIA`;
    },
  ),

  ruleAbout(
    'SAGEMAKER_STARTUP_TIMEOUT',
    'AWS::SageMaker::EndpointConfig',
    'SageMaker gives up on a container that is not healthy in time.',
    (config) => {
      const variants = valuesAt(config.Properties, 'ProductionVariants', '*').filter(
        // A variant without a model holds inference components, which have timeouts of their own.
        (each) => valuesAt(each, 'ModelName').length > 0,
      );
      const [type] = variants
        .filter((each) => valuesAt(each, 'ContainerStartupHealthCheckTimeoutInSeconds').length === 0)
        .flatMap((each) => gpuTypesIn(textsAt(each, 'InstanceType')));
      if (type === undefined) return undefined;
      return `a variant on ${type} has no ContainerStartupHealthCheckTimeoutInSeconds: set it to the time that image and model take to load, 60 to 3600`;
    },
  ),
] as const;
