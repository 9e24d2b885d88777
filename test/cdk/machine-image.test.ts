import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { GpuMachineImage } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { addGroup, synthesizeGroup } from './support/machines';
import { describeWithAndWithoutFlags, newStack, theOnly } from './support/stacks';

describeWithAndWithoutFlags('GpuMachineImage', (newStack) => {
  function imageParameter(machineImage: GpuMachineImage): unknown {
    const parameters = synthesizeGroup(newStack(), { machineImage, preset: 'development' }).findParameters('*', {
      Type: 'AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>',
    });
    return Object.values(parameters).map(({ Default }: { Default?: string }) => Default);
  }

  test('AWS’s own images are those with the NVIDIA driver', () => {
    expect(imageParameter(GpuMachineImage.amazonLinux2023())).toEqual([
      '/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended/image_id',
    ]);
    expect(imageParameter(GpuMachineImage.bottlerocket())).toEqual([
      '/aws/service/bottlerocket/aws-ecs-2-nvidia/x86_64/latest/image_id',
    ]);
  });

  test('a pinned image comes from the parameter that was named', () => {
    expect(imageParameter(GpuMachineImage.amazonLinux2023({ pinnedParameter: '/team/gpu' }))).toEqual(['/team/gpu']);
  });

  test('Bottlerocket keeps images and models on a second volume, and both are encrypted', () => {
    const template = synthesizeGroup(newStack(), { machineImage: GpuMachineImage.bottlerocket(), rootVolumeGiB: 200 });
    const { BlockDeviceMappings } = theOnly(template, 'AWS::EC2::LaunchTemplate').Properties.LaunchTemplateData;
    expect(BlockDeviceMappings).toMatchObject([
      { DeviceName: '/dev/xvda', Ebs: { Encrypted: true, VolumeSize: 8 } },
      { DeviceName: '/dev/xvdb', Ebs: { Encrypted: true, VolumeSize: 200, VolumeType: 'gp3' } },
    ]);
  });
});

test('an image of one’s own says which system it is, and nothing is assumed to change it', () => {
  const golden = ec2.MachineImage.genericLinux({ 'us-east-1': 'ami-0123456789abcdef0' });
  expect(GpuMachineImage.fromImage(golden)).toMatchObject({ os: 'amazon-linux', changesByItself: false });
  expect(GpuMachineImage.fromImage(golden, 'bottlerocket')).toMatchObject({ os: 'bottlerocket' });
});

test('what AWS moves is not pinned, though it is a parameter', () => {
  const latest = '/aws/service/bottlerocket/aws-ecs-2-nvidia/x86_64/latest/image_id';
  const dated = '/aws/service/bottlerocket/aws-ecs-2-nvidia/x86_64/1.50.0-0a1b2c3d/image_id';
  expect(GpuMachineImage.bottlerocket({ pinnedParameter: latest }).changesByItself).toBe(true);
  expect(GpuMachineImage.bottlerocket({ pinnedParameter: dated }).changesByItself).toBe(false);
  expect(GpuMachineImage.amazonLinux2023().changesByItself).toBe(true);
});

test('refuses an image id where a parameter belongs, and images of AWS without the driver', () => {
  expect(() => GpuMachineImage.amazonLinux2023({ pinnedParameter: 'ami-0123456789abcdef0' })).toThrow(
    "CAPACITY_CHOICE machineImage.pinnedParameter: must be the name of an SSM parameter, such as /aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/<image name>/image_id, got 'ami-0123456789abcdef0'",
  );
  const plain = '/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id';
  expect(() => GpuMachineImage.amazonLinux2023({ pinnedParameter: plain })).toThrow(
    `CAPACITY_CHOICE machineImage.pinnedParameter: '${plain}' is no ECS image with the NVIDIA driver`,
  );
  const withoutDriver = '/aws/service/bottlerocket/aws-ecs-2/x86_64/latest/image_id';
  expect(() => GpuMachineImage.bottlerocket({ pinnedParameter: withoutDriver })).toThrow(
    'is no ECS image with the NVIDIA driver; one is /aws/service/bottlerocket/aws-ecs-2-nvidia/',
  );
});

test('a Bottlerocket machine cannot wait in a warm pool', () => {
  expect(() => addGroup(newStack(), { machineImage: GpuMachineImage.bottlerocket(), warmPool: {} })).toThrow(
    'CAPACITY_CHOICE warmPool: a Bottlerocket machine would join the cluster before it is stopped',
  );
});
