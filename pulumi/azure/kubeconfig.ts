import { listManagedClusterUserCredentialsOutput, type ManagedCluster } from '@pulumi/azure-native/containerservice';
import * as pulumi from '@pulumi/pulumi';

/**
 * Entra's application that stands for the API server of every AKS cluster.
 * Source: https://learn.microsoft.com/azure/aks/kubelogin-authentication, read 2026-11-22.
 */
const AKS_SERVER_ID = '6dae42f8-4368-4678-94ff-3960e28e3630';

/**
 * How `kubectl` and Pulumi reach the cluster: at its private address, by `kubelogin` with the login of the `az` command. A
 * variable `AAD_LOGIN_METHOD` names another login, as in a pipeline
 * (https://azure.github.io/kubelogin/concepts/login-modes.html). It holds no key.
 */
export function kubeconfigOf(
  cluster: ManagedCluster,
  resourceGroupName: pulumi.Input<string>,
  parent: pulumi.ComponentResource,
): pulumi.Output<string> {
  const { kubeconfigs } = listManagedClusterUserCredentialsOutput(
    { resourceGroupName, resourceName: cluster.name, format: 'exec' },
    // A cluster that is not there yet cannot be asked, not even by a preview that knows its name.
    { parent, dependsOn: [cluster] },
  );
  const authority = kubeconfigs.apply(([credential]) => authorityOf(credential!.value));
  return pulumi.secret(
    pulumi
      .all([cluster.name, cluster.privateFQDN, authority])
      .apply(([name, host, certificate]) => JSON.stringify(renderKubeconfig(name, `https://${host}:443`, certificate))),
  );
}

/** Azure's own kubeconfig asks a person to type a code, and an update would wait for it; the certificate is what it has. */
function authorityOf(encoded: string): string {
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const match = /certificate-authority-data"?:\s*"?([A-Za-z0-9+/=]+)/.exec(text);
  if (match === null) throw new pulumi.RunError('the credentials of the cluster name no certificate authority');
  return match[1]!;
}

function renderKubeconfig(name: string, server: string, certificate: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': certificate } }],
    users: [
      {
        name,
        user: {
          exec: {
            apiVersion: 'client.authentication.k8s.io/v1beta1',
            command: 'kubelogin',
            args: ['get-token', '--login', 'azurecli', '--server-id', AKS_SERVER_ID],
            provideClusterInfo: false,
          },
        },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  };
}
