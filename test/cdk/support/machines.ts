import type { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { GpuInstanceGroup, type Capacity, type GpuInstanceGroupProps } from 'slipway/cdk';
import { newCluster, pinnedMachineImage, theOnly } from './stacks';

/** A group with what a test says of it, of one on-demand type unless it says otherwise. */
export function addGroup(stack: Stack, props: Partial<GpuInstanceGroupProps> = {}, id = 'L4'): GpuInstanceGroup {
  return new GpuInstanceGroup(stack, id, {
    ...(props.platform === undefined && !('cluster' in props) ? { cluster: newCluster(stack) } : {}),
    ...(props.capacity === undefined && !('instanceTypes' in props) ? { instanceTypes: ['g6.xlarge'] } : {}),
    ...(props.capacity?.kind === 'managedInstances' ? {} : { machineImage: pinnedMachineImage() }),
    ...props,
  });
}

export function synthesizeGroup(stack: Stack, props?: Partial<GpuInstanceGroupProps>): Template {
  addGroup(stack, props);
  return Template.fromStack(stack);
}

export function synthesizeCapacity(stack: Stack, capacity: Capacity): Template {
  return synthesizeGroup(stack, { capacity });
}

/** The user data as text; what only deployment knows stands as `REF`. */
export function userDataOf(template: Template): string {
  const { UserData } = theOnly(template, 'AWS::EC2::LaunchTemplate').Properties.LaunchTemplateData;
  const parts: unknown = UserData['Fn::Base64']['Fn::Join']?.[1] ?? [UserData['Fn::Base64']];
  return (parts as readonly unknown[]).map((part) => (typeof part === 'string' ? part : 'REF')).join('');
}
