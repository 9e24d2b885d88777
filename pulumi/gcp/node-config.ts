import type { NodePoolArgs } from '@pulumi/gcp/container';
import type * as pulumi from '@pulumi/pulumi';

/** Machines whose start is verified, whose credentials no pod reaches, and that pull images as pods read them. */
export function closedNodes(serviceAccount: pulumi.Input<string>) {
  return {
    imageType: 'COS_CONTAINERD',
    serviceAccount,
    // The account's roles decide; scopes are the older mechanism and must not be in their way.
    oauthScopes: ['https://www.googleapis.com/auth/cloud-platform'],
    // Without it pods get the credentials of the machine, and those of their own not at all, silently.
    workloadMetadataConfig: { mode: 'GKE_METADATA' },
    // It tells whoever asks, without asking who they are, what runs on the machine.
    kubeletConfig: { insecureKubeletReadonlyPortEnabled: 'FALSE' },
    shieldedInstanceConfig: { enableSecureBoot: true, enableIntegrityMonitoring: true },
  };
}

/** Machines are replaced when they fail and updated one by one, each after its successor is there. */
export const LOOKED_AFTER = {
  management: { autoRepair: true, autoUpgrade: true },
  upgradeSettings: { strategy: 'SURGE', maxSurge: 1, maxUnavailable: 0 },
} as const satisfies Partial<NodePoolArgs>;
