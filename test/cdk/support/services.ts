import type { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { InferenceService, InferenceServiceProps, ISharedListener } from 'slipway/cdk';
import { newCluster, newFargateService, resourcesOf, type Resource } from './stacks';

export function certificateOf(stack: Stack): acm.ICertificate {
  const arn = `arn:aws:acm:us-east-1:111122223333:certificate/${'0'.repeat(8)}`;
  return acm.Certificate.fromCertificateArn(stack, 'Certificate', arn);
}

/** A TLS service of its own load balancer, unless the props say otherwise. */
export function serve(
  stack: Stack,
  props: Partial<InferenceServiceProps> = {},
): { readonly service: InferenceService; readonly template: Template } {
  const service = newFargateService(stack, { certificate: certificateOf(stack), ...props });
  return { service, template: Template.fromStack(stack) };
}

/** A listener that other services have rules on already. */
export function newSharedListener(stack: Stack, over: Partial<ISharedListener> = {}): ISharedListener {
  const { vpc } = newCluster(stack);
  const loadBalancer = new elbv2.ApplicationLoadBalancer(stack, 'Shared', { vpc, internetFacing: false });
  const listener = loadBalancer.addListener('Listener', {
    protocol: elbv2.ApplicationProtocol.HTTPS,
    certificates: [certificateOf(stack)],
    open: false,
    defaultAction: elbv2.ListenerAction.fixedResponse(404),
  });
  return {
    key: 'shared',
    listener,
    loadBalancerFullName: loadBalancer.loadBalancerFullName,
    loadBalancerDnsName: loadBalancer.loadBalancerDnsName,
    securityGroup: loadBalancer.connections.securityGroups[0]!,
    port: 443,
    isTls: true,
    isPublic: false,
    idleTimeoutSeconds: 90,
    hasNonForwardActions: true,
    ...over,
  };
}

/** The cluster that `newSharedListener` made. */
export function clusterOf(stack: Stack): ecs.Cluster {
  return stack.node.findChild('Cluster') as ecs.Cluster;
}

/** Resources of a type by the part of their logical id that tells them apart. */
export function named(template: Template, type: string): Readonly<Record<string, Resource & { readonly id: string }>> {
  return Object.fromEntries(
    resourcesOf(template, type).map((resource) => [
      resource.id.replace(/^Digits(SmokeTest)?/, '').replace(/[0-9A-F]{8}$/, ''),
      resource,
    ]),
  );
}
