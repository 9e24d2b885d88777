import { Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { Dependable, type Construct, type IConstruct, type IDependable } from 'constructs';

// A key of the global registry, so that two installed copies of this package see each other's endpoints.
const ENDPOINTS = Symbol.for('slipway.cdk.endpoints');

type WithEndpoints = ec2.IVpc & { [ENDPOINTS]?: readonly IConstruct[] };

/** Says that endpoints of a VPC are made below this construct, and not only below the VPC itself. */
export function addPlaceOfEndpoints(vpc: WithEndpoints, place: IConstruct): void {
  vpc[ENDPOINTS] = [...(vpc[ENDPOINTS] ?? []), place];
}

/**
 * Everything by which whatever runs in these subnets reaches AWS: routes to NAT gateways, and the VPC's endpoints, in a
 * network without a way out the only ways there are. Whoever starts replicas or machines depends on it: CloudFormation sees
 * no such order by itself, would start them before they can pull an image, and end their ways out before them. Endpoints
 * that are made later count too, those of other stacks do not: theirs is the order of stacks.
 */
export function wayOutOf(scope: Construct, vpc: WithEndpoints, selection?: ec2.SubnetSelection): IDependable {
  const { internetConnectivityEstablished } = vpc.selectSubnets(selection);
  const dependable = {};
  Dependable.implement(dependable, {
    get dependencyRoots() {
      const stack = Stack.of(scope);
      const endpoints = [vpc, ...(vpc[ENDPOINTS] ?? [])]
        .flatMap(({ node }) => node.children)
        .filter((child) => child instanceof ec2.VpcEndpoint && Stack.of(child) === stack);
      return [...Dependable.of(internetConnectivityEstablished).dependencyRoots, ...endpoints];
    },
  });
  return dependable;
}
