import * as ec2 from '@pulumi/aws/ec2';
import type * as pulumi from '@pulumi/pulumi';
import { fitName } from '../fit-name';
import { tagged, type Tags } from '../tags';

/** Machines whose disks are encrypted and whose credentials no pod reaches. */
export function createNodeTemplate(
  name: string,
  diskSizeGiB: number,
  tags: Tags | undefined,
  parent: pulumi.ComponentResource,
): ec2.LaunchTemplate {
  const { named, once } = fitName('name', 125, name, parent);
  return new ec2.LaunchTemplate(
    name,
    {
      ...named,
      updateDefaultVersion: true,
      // One hop ends at the machine: a pod that asks for the machine's credentials gets no answer.
      metadataOptions: { httpEndpoint: 'enabled', httpTokens: 'required', httpPutResponseHopLimit: 1 },
      blockDeviceMappings: [
        {
          deviceName: '/dev/xvda',
          ebs: {
            volumeSize: diskSizeGiB,
            volumeType: 'gp3',
            // Images and models are read whole at a start: the throughput is what the startup budget hangs on.
            throughput: 500,
            iops: 6000,
            encrypted: 'true',
            deleteOnTermination: 'true',
          },
        },
      ],
      ...tagged(tags),
      ...(tags === undefined
        ? {}
        : { tagSpecifications: TAGGED_AT_LAUNCH.map((resourceType) => ({ resourceType, ...tagged(tags) })) }),
    },
    { parent, ...once },
  );
}

const TAGGED_AT_LAUNCH = ['instance', 'volume', 'network-interface'];
