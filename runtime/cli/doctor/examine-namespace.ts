import { makeNamespace } from '../../../pulumi/remedies';
import type { Checkup } from './checkup';
import type { ClusterFacts, ServiceNeeds } from './facts';

const ENFORCE = 'pod-security.kubernetes.io/enforce';

export function examineNamespace({ namespace }: ClusterFacts, needs: ServiceNeeds | undefined): readonly Checkup[] {
  if (needs === undefined) return [];
  const { namespace: name, createsNamespace, namespaceLabels } = needs;
  if (namespace === undefined) {
    return [
      createsNamespace
        ? {
            code: 'namespace',
            severity: 'ok',
            what: 'the service makes its namespace',
            evidence: `no namespace '${name}'`,
          }
        : {
            code: 'namespace',
            severity: 'error',
            what: `there is no namespace '${name}', and the service does not make it`,
            evidence: `kubectl get namespace ${name} found none`,
            fix: makeNamespace(name),
          },
    ];
  }
  const { labels } = namespace;
  const level = labels[ENFORCE];
  const missing = Object.entries(namespaceLabels).filter(([key, value]) => labels[key] !== value);
  return [
    ...(createsNamespace
      ? ([
          {
            code: 'namespace',
            severity: 'warning',
            what: `namespace '${name}' is there, and the service would make it, too: an update fails, unless it is this service's own`,
            evidence: `namespace '${name}' exists`,
            fix: 'leave createNamespace out, or go on where the service is deployed already',
          },
        ] as const)
      : []),
    level === 'restricted'
      ? {
          code: 'namespace-pod-security',
          severity: 'ok',
          what: 'the namespace lets no pod have more rights than services need',
          evidence: `${ENFORCE}=${level}`,
        }
      : {
          code: 'namespace-pod-security',
          severity: 'warning',
          what: `pods of namespace '${name}' may have more rights than services need`,
          evidence: level === undefined ? `no label ${ENFORCE}` : `${ENFORCE}=${level}`,
          fix: `kubectl label namespace ${name} ${ENFORCE}=restricted --overwrite`,
        },
    ...(missing.length === 0
      ? []
      : ([
          {
            code: 'namespace-identity',
            severity: 'error',
            what: `namespace '${name}' lacks labels without which pods do not get the identity of the service`,
            evidence: `missing ${missing.map(([key, value]) => `${key}=${value}`).join(', ')}`,
            fix: `kubectl label namespace ${name} ${missing.map(([key, value]) => `${key}=${value}`).join(' ')}`,
          },
        ] as const)),
  ];
}
