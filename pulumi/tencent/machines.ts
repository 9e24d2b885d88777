import type * as pulumi from '@pulumi/pulumi';

/**
 * What machines of every pool have: no address of the internet, and an encrypted disk for images, containers and models beside
 * the system's, which TKE cannot encrypt in such a pool (tencentcloud_kubernetes_node_pool, `auto_scaling_config`).
 */
export function closedMachines(diskSizeGiB: number, securityGroupIds: pulumi.Input<pulumi.Input<string>[]>) {
  return {
    autoScalingConfig: {
      systemDiskType: 'CLOUD_HSSD',
      systemDiskSize: SYSTEM_DISK_GIB,
      publicIpAssigned: false,
      orderlySecurityGroupIds: securityGroupIds,
      dataDisks: [{ diskType: 'CLOUD_HSSD', diskSize: diskSizeGiB, encrypt: true, deleteWithInstance: true }],
    },
    nodeConfig: {
      // TKE's name for it, whatever runs the containers.
      dockerGraphPath: CONTAINERS,
      dataDisks: [
        {
          diskType: 'CLOUD_HSSD',
          diskSize: diskSizeGiB,
          fileSystem: 'ext4',
          mountTarget: CONTAINERS,
          autoFormatAndMount: true,
        },
      ],
    },
  };
}

const SYSTEM_DISK_GIB = 50;
const CONTAINERS = '/var/lib/containerd';
