import type * as pulumi from '@pulumi/pulumi';

/**
 * What machines of every pool have: a disk that is encrypted, metadata for those alone that ask by a token, repairs, and
 * no address of the internet.
 * @param diskKey Id of the KMS key of the disk; without one it is the key that Alibaba Cloud manages for the account.
 */
export function closedMachines(diskSizeGiB: number, diskKey: pulumi.Input<string> | undefined) {
  return {
    imageType: 'AliyunLinux3',
    systemDiskCategory: 'cloud_essd',
    systemDiskSize: diskSizeGiB,
    systemDiskEncrypted: true,
    systemDiskEncryptAlgorithm: 'aes-256',
    ...(diskKey === undefined ? {} : { systemDiskKmsKey: diskKey }),
    // Without a token, a request that a server is tricked into would be answered, too.
    instanceMetadataOptions: { httpTokens: 'required' },
    management: { enable: true, autoRepair: true, maxUnavailable: 1 },
    multiAzPolicy: 'BALANCE',
  };
}
