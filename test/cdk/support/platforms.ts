import { App, Stack, type StackProps } from 'aws-cdk-lib';
import { InferencePlatform, type InferencePlatformProps } from 'slipway/cdk';
import { emptyFolder } from './cdk-cli';
import { FLAGS, pinnedMachineImage } from './stacks';

/** An app of its own, whose output folder is its own too: facts are written into it. */
export function newApp(context: Record<string, unknown> = FLAGS.recommended): App {
  return new App({ context, outdir: emptyFolder(), analyticsReporting: false });
}

export function newPlatform(
  stack: Stack = new Stack(newApp(), 'Platform'),
  props: Partial<InferencePlatformProps> = {},
): InferencePlatform {
  return new InferencePlatform(stack, 'Main', {
    ...(props.certificate === undefined ? { plaintextInsideVpc: true } : {}),
    ...props,
  });
}

/** A platform with two kinds of machines. */
export function newGpuPlatform(
  app: App,
  props: Partial<InferencePlatformProps> = {},
  stackProps?: StackProps,
): InferencePlatform {
  return newPlatform(new Stack(app, 'Platform', stackProps), {
    groups: {
      l4: { instanceTypes: ['g6.xlarge', 'g5.xlarge'], machineImage: pinnedMachineImage(), maxSize: 12 },
      a10: { instanceTypes: ['g5.2xlarge'], machineImage: pinnedMachineImage() },
    },
    ...props,
  });
}
