import { Token } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import { SpecError } from '../runtime/spec';

/** How a machine is configured: Amazon Linux by shell, Bottlerocket by settings in TOML. */
export type MachineOs = 'amazon-linux' | 'bottlerocket';

export interface GpuMachineImageOptions {
  /**
   * Name of the SSM parameter that holds the image: a dated one of AWS, or one of your own. The machines then change
   * when you say so.
   * @default - what AWS recommends on the day of each deployment; the NVIDIA driver may change with it
   */
  readonly pinnedParameter?: string;
}

/**
 * What GPU machines boot from: an image made for ECS that has the NVIDIA driver. None has another architecture than
 * x86_64, for neither has any GPU type that a replica runs on.
 *
 * @example
 * machineImage: GpuMachineImage.amazonLinux2023({ pinnedParameter: '/team/gpu-image' }),
 */
export abstract class GpuMachineImage {
  /** Amazon Linux 2023 with the driver and the ECS agent. */
  static amazonLinux2023(options: GpuMachineImageOptions = {}): GpuMachineImage {
    return fromAws(options, {
      os: 'amazon-linux',
      recommended: () => ecs.EcsOptimizedImage.amazonLinux2023(ecs.AmiHardwareType.GPU),
      withDriver: /^\/aws\/service\/ecs\/optimized-ami\/[^/]+\/gpu\//,
      sample: '/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/<image name>/image_id',
    });
  }

  /** Bottlerocket with the driver: no shell, no package manager, settings alone; without the machine's model cache. */
  static bottlerocket(options: GpuMachineImageOptions = {}): GpuMachineImage {
    return fromAws(options, {
      os: 'bottlerocket',
      recommended: () =>
        new ecs.BottleRocketImage({
          variant: ecs.BottlerocketEcsVariant.AWS_ECS_2_NVIDIA,
          architecture: ec2.InstanceArchitecture.X86_64,
        }),
      withDriver: /^\/aws\/service\/bottlerocket\/aws-ecs-[0-9]+-nvidia[^/]*\//,
      sample: '/aws/service/bottlerocket/aws-ecs-2-nvidia/x86_64/<version>/image_id',
    });
  }

  /** Any image of the CDK: of a golden-image pipeline, by id for each region, by lookup. Nobody can check its driver. */
  static fromImage(image: ec2.IMachineImage, os: MachineOs = 'amazon-linux'): GpuMachineImage {
    return new MachineImage(os, false, image);
  }

  abstract readonly os: MachineOs;
  /** Whether another deployment of the same code may boot another image. */
  abstract readonly changesByItself: boolean;
  abstract readonly image: ec2.IMachineImage;
}

class MachineImage extends GpuMachineImage {
  constructor(
    readonly os: MachineOs,
    readonly changesByItself: boolean,
    readonly image: ec2.IMachineImage,
  ) {
    super();
  }
}

interface AwsImages {
  readonly os: MachineOs;
  readonly recommended: () => ec2.IMachineImage;
  /** Names of AWS's own parameters whose images have the driver. */
  readonly withDriver: RegExp;
  readonly sample: string;
}

function fromAws(
  { pinnedParameter }: GpuMachineImageOptions,
  { os, recommended, withDriver, sample }: AwsImages,
): GpuMachineImage {
  if (pinnedParameter === undefined) return new MachineImage(os, true, recommended());
  const isKnown = !Token.isUnresolved(pinnedParameter);
  if (isKnown && !pinnedParameter.startsWith('/')) {
    throw new SpecError(
      'CAPACITY_CHOICE',
      'machineImage.pinnedParameter',
      `must be the name of an SSM parameter, such as ${sample}, got '${pinnedParameter}'; an image id goes through GpuMachineImage.fromImage(ec2.MachineImage.genericLinux(…))`,
    );
  }
  if (isKnown && pinnedParameter.startsWith('/aws/service/') && !withDriver.test(pinnedParameter)) {
    throw new SpecError(
      'CAPACITY_CHOICE',
      'machineImage.pinnedParameter',
      `'${pinnedParameter}' is no ECS image with the NVIDIA driver; one is ${sample}`,
    );
  }
  // AWS's own `recommended` and `latest` move, though they are parameters.
  const moves = /\/(recommended|latest)(\/|$)/.test(pinnedParameter);
  return new MachineImage(os, moves, ec2.MachineImage.fromSsmParameter(pinnedParameter));
}
