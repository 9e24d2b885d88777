import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import { InferenceService, modelAt } from 'slipway/pulumi';

// The second of two stacks: gateway-platform brought the controller and the kinds. What follows are the names that its chart
// always takes, so nothing has to be read from that stack.
const config = new pulumi.Config();
const host = 'digits.models.example.com';
const namespace = 'inference';

const gatewayClass = new k8s.apiextensions.CustomResource('envoy', {
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'GatewayClass',
  metadata: { name: 'envoy' },
  spec: { controllerName: 'gateway.envoyproxy.io/gatewayclass-controller' },
});
const gateways = new k8s.core.v1.Namespace('gateways', { metadata: { name: 'gateways' } });
const gateway = new k8s.apiextensions.CustomResource(
  'models',
  {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'models', namespace: gateways.metadata.name },
    spec: {
      gatewayClassName: 'envoy',
      listeners: [
        {
          name: 'https',
          protocol: 'HTTPS',
          port: 443,
          hostname: '*.models.example.com',
          tls: { certificateRefs: [{ name: config.get('certificateSecret') ?? 'models-tls' }] },
          // Routes of no other namespace may take its hosts.
          allowedRoutes: {
            namespaces: { from: 'Selector', selector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } },
          },
        },
      ],
    },
  },
  { dependsOn: gatewayClass },
);

const service = new InferenceService(
  'digits',
  {
    namespace,
    createNamespace: true,
    image: config.require('image'),
    models: [modelAt(config.require('modelRepository'), 'digits', { manifest: 'digits.manifest.json' })],
    minReplicas: 2,
    maxReplicas: 4,
    // Envoy Gateway runs its proxies beside its controller: the network policy lets in that namespace, and no other.
    route: {
      gateway: { name: 'models', namespace: 'gateways', section: 'https', proxyNamespace: 'envoy-gateway-system' },
      hostnames: [host],
    },
  },
  { dependsOn: gateway },
);

export const url = service.url;
