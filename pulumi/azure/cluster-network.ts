import { Subnet, VirtualNetwork } from '@pulumi/azure-native/network';
import type * as pulumi from '@pulumi/pulumi';
import type { ChildOptions } from '../child-options';
import { fitName } from '../fit-name';
import type { Tags } from '../tags';

/**
 * Beside the pods' 10.244.0.0/16 and the services' 10.0.0.0/16, which are AKS's own; most of it is free for private endpoints
 * and gateways.
 */
const NETWORK = '10.224.0.0/14';
const NODES = '10.224.0.0/16';

/** A network for one cluster. Its machines reach storage accounts by Azure's own network, so that these can let them in. */
export function createNodeSubnet(
  name: string,
  resourceGroupName: pulumi.Input<string>,
  tags: Tags | undefined,
  child: ChildOptions,
): Subnet {
  const { named, once } = fitName('virtualNetworkName', 64, name, child.parent);
  const network = new VirtualNetwork(
    name,
    { ...named, resourceGroupName, addressSpace: { addressPrefixes: [NETWORK] }, tags },
    { ...child, ...once },
  );
  const subnet = fitName('subnetName', 80, `${name}-nodes`, child.parent);
  return new Subnet(
    `${name}-nodes`,
    {
      ...subnet.named,
      resourceGroupName,
      virtualNetworkName: network.name,
      addressPrefix: NODES,
      serviceEndpoints: [{ service: 'Microsoft.Storage' }],
      // AKS gives machines their way out by a load balancer of its own.
      defaultOutboundAccess: false,
    },
    { ...child, ...subnet.once },
  );
}
