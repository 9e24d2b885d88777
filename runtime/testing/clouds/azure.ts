import type { DeclaredResource, OnInvoke, ResourceState } from '../pulumi-provider';
import type { Properties } from '../pulumi-values';

const SUBSCRIPTION = '11111111-2222-3333-4444-555555555555';
const CERTIFICATE = Buffer.from('a certificate').toString('base64');

/** What the Azure provider computes for the resources that our components create. */
export function azureState({ type, name, inputs }: DeclaredResource): ResourceState {
  const computed = COMPUTED[type];
  return computed === undefined ? {} : computed(name, inputs);
}

/** Answers the lookups that our components make. */
export const azureInvoke: OnInvoke = ({ token, args }): Properties | undefined => {
  switch (token) {
    case 'azure-native:authorization:getClientConfig':
      return { subscriptionId: SUBSCRIPTION, tenantId: 'tenant', clientId: 'client', objectId: 'object' };
    case 'azure-native:keyvault:getKey':
      return { keyUri: `https://${args['vaultName'] as string}.vault.azure.net/keys/${args['keyName'] as string}` };
    case 'azure-native:containerservice:listManagedClusterUserCredentials':
      return { kubeconfigs: [{ name: 'clusterUser', value: Buffer.from(azureKubeconfig()).toString('base64') }] };
    default:
      return undefined;
  }
};

/** As `az aks get-credentials` prints it. */
function azureKubeconfig(): string {
  return [
    'apiVersion: v1',
    'clusters:',
    '- cluster:',
    `    certificate-authority-data: ${CERTIFICATE}`,
    '    server: https://platform.privatelink.westeurope.azmk8s.io:443',
    '  name: platform',
    'users:',
    '- name: clusterUser',
    '  user:',
    '    exec:',
    '      command: kubelogin',
    '      args:',
    '      - get-token',
    '      - --login',
    '      - devicecode',
  ].join('\n');
}

const COMPUTED: Readonly<Record<string, (name: string, inputs: Properties) => ResourceState>> = {
  'azure-native:containerregistry:Registry': (name, inputs) => ({
    ...armResource(inputs, 'Microsoft.ContainerRegistry/registries', `${name}1a2b3c`),
    state: { name: `${name}1a2b3c`, loginServer: `${name}1a2b3c.azurecr.io` },
  }),
  'azure-native:containerservice:AgentPool': (name, inputs) =>
    armResource(
      inputs,
      `Microsoft.ContainerService/managedClusters/${inputs['resourceName'] as string}/agentPools`,
      (inputs['agentPoolName'] as string | undefined) ?? name,
    ),
  'azure-native:containerservice:ManagedCluster': (name, inputs) => {
    const resource = armResource(inputs, 'Microsoft.ContainerService/managedClusters', `${name}1a2b3c`);
    return {
      ...resource,
      state: {
        ...resource.state,
        privateFQDN: `${name}.privatelink.westeurope.azmk8s.io`,
        oidcIssuerProfile: { enabled: true, issuerURL: `https://westeurope.oic.prod-aks.azure.com/${name}/` },
        identityProfile: { kubeletidentity: { objectId: `${name}-kubelet` } },
      },
    };
  },
  'azure-native:keyvault:Key': (name, inputs) => armResource(inputs, 'Microsoft.KeyVault/vaults/vault/keys', name),
  'azure-native:managedidentity:UserAssignedIdentity': (name, inputs) => {
    const resource = armResource(inputs, 'Microsoft.ManagedIdentity/userAssignedIdentities', `${name}1a2b3c`);
    return { ...resource, state: { ...resource.state, clientId: `${name}-client`, principalId: `${name}-principal` } };
  },
  'azure-native:network:PrivateEndpoint': (name, inputs) =>
    armResource(inputs, 'Microsoft.Network/privateEndpoints', `${name}1a2b3c`),
  'azure-native:network:Subnet': (name, inputs) =>
    armResource(inputs, `Microsoft.Network/virtualNetworks/${inputs['virtualNetworkName'] as string}/subnets`, name),
  'azure-native:network:VirtualNetwork': (name, inputs) =>
    armResource(inputs, 'Microsoft.Network/virtualNetworks', `${name}1a2b3c`),
  'azure-native:operationalinsights:Workspace': (name, inputs) =>
    armResource(inputs, 'Microsoft.OperationalInsights/workspaces', `${name}1a2b3c`),
  'azure-native:privatedns:PrivateZone': (_, inputs) =>
    armResource(inputs, 'Microsoft.Network/privateDnsZones', inputs['privateZoneName'] as string),
  'azure-native:resources:ResourceGroup': (name) => ({
    id: `/subscriptions/${SUBSCRIPTION}/resourceGroups/${name}`,
    state: { name },
  }),
  'azure-native:storage:BlobContainer': (_, inputs) =>
    armResource(
      inputs,
      `Microsoft.Storage/storageAccounts/${inputs['accountName'] as string}/blobServices/default/containers`,
      inputs['containerName'] as string,
    ),
  'azure-native:storage:StorageAccount': (name, inputs) =>
    armResource(inputs, 'Microsoft.Storage/storageAccounts', `${name}1a2b3c`),
};

function armResource(inputs: Properties, type: string, name: string): ResourceState & { readonly state: Properties } {
  const group = inputs['resourceGroupName'] as string;
  return { id: `/subscriptions/${SUBSCRIPTION}/resourceGroups/${group}/providers/${type}/${name}`, state: { name } };
}
