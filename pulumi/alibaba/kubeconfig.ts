import { getClusterCredentialOutput } from '@pulumi/alicloud/cs/getClusterCredential';
import type { ManagedKubernetes } from '@pulumi/alicloud/cs/managedKubernetes';
import * as pulumi from '@pulumi/pulumi';

/**
 * For whoever runs Pulumi inside of the cluster's network: `ack-ram-tool` changes their identity for a certificate of some
 * hours, so there is no key in it. Of the certificates that Alibaba Cloud gives out, the cluster's own alone is taken.
 */
export function kubeconfigOf(
  cluster: ManagedKubernetes,
  region: pulumi.Output<string>,
  parent: pulumi.ComponentResource,
): pulumi.Output<string> {
  const issued = getClusterCredentialOutput({ clusterId: cluster.id, temporaryDurationMinutes: 15 }, { parent });
  const known = pulumi.all([
    cluster.id,
    cluster.connections.apiServerIntranet,
    issued.certificateAuthority.clusterCert,
    region,
  ]);
  return pulumi.secret(
    known.apply(([id, server, authority, where]) =>
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: id, cluster: { server, 'certificate-authority-data': authority } }],
        contexts: [{ name: id, context: { cluster: id, user: id } }],
        'current-context': id,
        users: [
          {
            name: id,
            user: {
              exec: {
                apiVersion: 'client.authentication.k8s.io/v1beta1',
                command: 'ack-ram-tool',
                args: [
                  ...['credential-plugin', 'get-credential', '--cluster-id', id, '--region-id', where],
                  ...['--api-version', 'v1beta1', '--log-level', 'error'],
                ],
                interactiveMode: 'Never',
              },
            },
          },
        ],
      }),
    ),
  );
}
