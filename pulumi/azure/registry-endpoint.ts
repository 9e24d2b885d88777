import type { Registry } from '@pulumi/azure-native/containerregistry';
import { PrivateDnsZoneGroup, PrivateEndpoint } from '@pulumi/azure-native/network';
import { PrivateZone, VirtualNetworkLink } from '@pulumi/azure-native/privatedns';
import * as pulumi from '@pulumi/pulumi';
import { fitName } from '../fit-name';
import type { Tags } from '../tags';
import { networkOfSubnet } from './subnet-id';

export interface RegistryEndpoint {
  readonly resourceGroupName: pulumi.Input<string>;
  /** Of a zone that the network is linked to already. */
  readonly privateDnsZoneId?: pulumi.Input<string>;
  readonly tags?: Tags;
}

/**
 * A private endpoint of a registry in a subnet, and the zone by which its network resolves the registry's name to it. They go
 * with the component though the registry be kept: a network that holds an endpoint cannot be deleted.
 * @returns what must be there before somebody pulls
 */
export function reachFrom(
  name: string,
  subnetId: pulumi.Input<string>,
  registry: Registry,
  { resourceGroupName, privateDnsZoneId, tags }: RegistryEndpoint,
  parent: pulumi.ComponentResource,
): readonly pulumi.CustomResource[] {
  const { named, once } = fitName('privateEndpointName', 64, name, parent);
  const endpoint = new PrivateEndpoint(
    name,
    {
      ...named,
      resourceGroupName,
      subnet: { id: subnetId },
      privateLinkServiceConnections: [{ name: 'registry', privateLinkServiceId: registry.id, groupIds: ['registry'] }],
      tags,
    },
    { parent, ...once },
  );
  const zone = privateDnsZoneId === undefined ? createZone(name, registry, resourceGroupName, tags, parent) : undefined;
  const group = new PrivateDnsZoneGroup(
    name,
    {
      resourceGroupName,
      privateEndpointName: endpoint.name,
      privateDnsZoneGroupName: 'default',
      privateDnsZoneConfigs: [{ name: 'registry', privateDnsZoneId: privateDnsZoneId ?? zone!.id }],
    },
    { parent },
  );
  if (zone === undefined) return [group];
  const link = new VirtualNetworkLink(
    name,
    {
      resourceGroupName,
      privateZoneName: zone.name,
      location: 'global',
      registrationEnabled: false,
      virtualNetwork: { id: pulumi.output(subnetId).apply(networkOfSubnet) },
      tags,
    },
    { parent },
  );
  return [group, link];
}

function createZone(
  name: string,
  registry: Registry,
  resourceGroupName: pulumi.Input<string>,
  tags: Tags | undefined,
  parent: pulumi.ComponentResource,
): PrivateZone {
  return new PrivateZone(
    name,
    {
      resourceGroupName,
      // `privatelink.azurecr.io`, and whatever it is called in another of Azure's clouds.
      privateZoneName: registry.loginServer.apply((server) => `privatelink${server.slice(server.indexOf('.'))}`),
      location: 'global',
      tags,
    },
    { parent },
  );
}
