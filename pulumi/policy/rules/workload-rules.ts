import { containersOf, podOf, podTemplateOf, type Container } from '../pods';
import type { CheckedResource, Complaint, Rule } from '../rule';

const SECRET_NAME = /(SECRETS?|PASSWORDS?|PASSWD|TOKEN|API_?KEYS?|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIALS?)$/i;
// Names of places and names, not of secrets: AWS_WEB_IDENTITY_TOKEN_FILE, SLIPWAY_API_KEYS_FILE.
const PLACE_NAME = /_(FILE|PATH|DIR|URI|URL|NAME|ARN|ID)$/i;

const DEFAULT_DENY = ['Ingress'];

/** What pods may do, and who may reach them. */
export const WORKLOAD_RULES: readonly Rule[] = [
  {
    id: 'image-by-digest',
    group: 'security',
    level: 'mandatory',
    severity: 'high',
    description: 'Images are named by digest: a tag may be another image tomorrow.',
    *check(resource) {
      for (const { name, image } of containersOf(resource)) {
        if (image !== undefined && !/@sha256:[0-9a-f]{64}$/.test(image)) {
          yield `container '${name}' runs '${image}'; name it by digest, as slipway image push prints it`;
        }
      }
    },
  },
  {
    id: 'trusted-registries',
    group: 'security',
    level: 'mandatory',
    severity: 'high',
    description: 'Images come from image repositories that the platform trusts.',
    setting: 'trustedRegistries',
    *check(resource, { trustedRegistries }) {
      if (trustedRegistries.length === 0) return;
      for (const { name, image } of containersOf(resource)) {
        if (image !== undefined && !trustedRegistries.some((prefix) => isUnder(image, prefix))) {
          yield `container '${name}' runs '${image}'; trusted are ${trustedRegistries.join(', ')}`;
        }
      }
    },
  },
  {
    id: 'no-host-access',
    group: 'security',
    level: 'mandatory',
    severity: 'critical',
    description: 'Pods have no privileged container, no namespace and no folder of their node.',
    *check(resource) {
      const pod = podOf(resource);
      if (pod === undefined) return;
      for (const field of ['hostNetwork', 'hostPID', 'hostIPC'] as const) {
        if (pod[field] === true) yield `${field} is true; leave it out`;
      }
      for (const { name, hostPath } of pod.volumes ?? []) {
        if (hostPath !== undefined)
          yield `volume '${name}' is the node's folder ${hostPath.path}; use an emptyDir or a claim`;
      }
      for (const { name, securityContext } of containersOf(resource)) {
        if (securityContext?.privileged === true) yield `container '${name}' is privileged; leave it out`;
      }
    },
  },
  {
    id: 'pod-restricted',
    group: 'security',
    level: 'mandatory',
    severity: 'high',
    description:
      'Containers run within Pod Security "restricted": no root, no escalation, no capability, a seccomp profile.',
    *check(resource) {
      const pod = podOf(resource)?.securityContext;
      for (const container of containersOf(resource)) {
        const own = container.securityContext;
        const missing = [
          ...((own?.runAsNonRoot ?? pod?.runAsNonRoot) === true ? [] : ['runAsNonRoot: true']),
          ...(own?.allowPrivilegeEscalation === false ? [] : ['allowPrivilegeEscalation: false']),
          ...(own?.capabilities?.drop?.includes('ALL') === true ? [] : ["capabilities.drop: ['ALL']"]),
          ...(isConfined(own?.seccompProfile?.type ?? pod?.seccompProfile?.type)
            ? []
            : ["seccompProfile.type: 'RuntimeDefault'"]),
        ];
        if (missing.length > 0) yield `container '${container.name}' lacks ${missing.join(', ')}`;
      }
    },
  },
  {
    id: 'read-only-root',
    group: 'security',
    level: 'mandatory',
    severity: 'medium',
    description: 'The root file system of containers is read-only.',
    *check(resource) {
      for (const { name, securityContext } of containersOf(resource)) {
        if (securityContext?.readOnlyRootFilesystem !== true) {
          yield `container '${name}' may write its root file system; set readOnlyRootFilesystem and mount an emptyDir where it writes`;
        }
      }
    },
  },
  {
    id: 'no-service-account-token',
    group: 'security',
    level: 'advisory',
    severity: 'medium',
    description: 'Pods that do not call the Kubernetes API have no token for it.',
    *check(resource) {
      const pod = podOf(resource);
      if (pod !== undefined && pod.automountServiceAccountToken !== false) {
        yield 'pods get a token for the Kubernetes API; set automountServiceAccountToken: false';
      }
    },
  },
  {
    id: 'no-plain-secret',
    group: 'security',
    level: 'mandatory',
    severity: 'critical',
    description:
      'Secrets are not written into the environment of a pod, where everybody who may read the pod reads them.',
    *check(resource) {
      for (const container of containersOf(resource)) {
        for (const variable of plainSecrets(container)) {
          yield `variable ${variable} of container '${container.name}' holds a secret as plain text; take it from a Secret by valueFrom.secretKeyRef, or mount it`;
        }
      }
    },
  },
  {
    id: 'service-stays-inside',
    group: 'security',
    level: 'mandatory',
    severity: 'high',
    description: 'No Service opens a load balancer or a port of every node.',
    *check({ type, props }) {
      if (type !== 'kubernetes:core/v1:Service') return;
      const kind = (props['spec'] as { type?: string } | undefined)?.type;
      if (kind === 'LoadBalancer' || kind === 'NodePort') {
        yield `type is ${kind}; use ClusterIP and a route of a Gateway`;
      }
    },
  },
  {
    id: 'namespace-restricted',
    group: 'security',
    level: 'advisory',
    severity: 'medium',
    description: 'Namespaces enforce Pod Security "restricted".',
    *check({ type, props }) {
      if (type !== 'kubernetes:core/v1:Namespace') return;
      const labels = (props['metadata'] as { labels?: Record<string, string> } | undefined)?.labels ?? {};
      const level = labels['pod-security.kubernetes.io/enforce'];
      if (level !== 'restricted') {
        yield `enforces ${level === undefined ? 'nothing' : `'${level}'`}; label it pod-security.kubernetes.io/enforce: restricted`;
      }
    },
  },
  {
    id: 'network-policy',
    group: 'security',
    level: 'advisory',
    severity: 'high',
    description: 'Some NetworkPolicy says who may reach the pods of a Deployment.',
    *checkStack(resources) {
      const policies = resources.filter(({ type }) => type === 'kubernetes:networking.k8s.io/v1:NetworkPolicy');
      for (const resource of resources.filter(({ type }) => type === 'kubernetes:apps/v1:Deployment')) {
        if (!policies.some((policy) => guards(policy, resource))) yield unguarded(resource);
      }
    },
  },
  {
    id: 'probes',
    group: 'security',
    level: 'advisory',
    severity: 'medium',
    description: 'Servers say when they are ready, and are not restarted for being busy.',
    *check(resource) {
      if (resource.type !== 'kubernetes:apps/v1:Deployment') return;
      for (const { name, readinessProbe, livenessProbe } of podOf(resource)?.containers ?? []) {
        if (readinessProbe === undefined)
          yield `container '${name}' has no readinessProbe; it gets requests before it can answer`;
        const path = livenessProbe?.httpGet?.path;
        if (path !== undefined && path === readinessProbe?.httpGet?.path) {
          yield `container '${name}' is restarted by the probe ${path} that says whether it is ready; a replica that loads or drains would be killed`;
        }
      }
    },
  },
];

function isUnder(image: string, prefix: string): boolean {
  return image.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);
}

function isConfined(profile: string | undefined): boolean {
  return profile === 'RuntimeDefault' || profile === 'Localhost';
}

function plainSecrets({ env }: Container): readonly string[] {
  return (env ?? []).flatMap(({ name, value }) =>
    name !== undefined && value !== undefined && value !== '' && SECRET_NAME.test(name) && !PLACE_NAME.test(name)
      ? [name]
      : [],
  );
}

interface PolicySpec {
  readonly podSelector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly policyTypes?: readonly string[];
}

function guards({ props }: CheckedResource, workload: CheckedResource): boolean {
  const { podSelector, policyTypes = DEFAULT_DENY } = (props['spec'] ?? {}) as PolicySpec;
  const labels = podTemplateOf(workload)?.metadata?.labels ?? {};
  return (
    policyTypes.includes('Ingress') &&
    namespaceOf(props) === namespaceOf(workload.props) &&
    Object.entries(podSelector?.matchLabels ?? {}).every(([key, value]) => labels[key] === value)
  );
}

function namespaceOf(props: CheckedResource['props']): string | undefined {
  return (props['metadata'] as { namespace?: string } | undefined)?.namespace;
}

function unguarded({ urn }: CheckedResource): Complaint {
  return { urn, message: 'no NetworkPolicy of the stack selects its pods; everybody in the cluster may call them' };
}
