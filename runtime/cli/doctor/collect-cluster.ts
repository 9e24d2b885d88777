import { CliError } from '../cli-error';
import { ADDON_GROUPS } from './examine-cluster';
import type { ClusterFacts, LabelSelector, ServiceNeeds } from './facts';
import type { Kubectl } from './kubectl';

/** What stands in an object, as far as it is read here. Everything may be missing: it comes from another program. */
interface Listed {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
  readonly spec?: Record<string, unknown>;
  readonly status?: Record<string, unknown>;
}

/** A kind that the cluster does not know; that is an answer, and no failure. */
const NO_SUCH_KIND = /doesn't have a resource type|could not find the requested resource|no matches for kind/i;
const NOT_FOUND = /not ?found/i;

/**
 * Reads what the findings need. Only `kubectl get`, `version` and `config view` are used.
 * @throws CliError when the cluster does not answer at all.
 */
export async function collectCluster(kubectl: Kubectl, needs: ServiceNeeds | undefined): Promise<ClusterFacts> {
  const unreadable: { what: string; why: string }[] = [];
  const list = async (resource: string): Promise<readonly Listed[]> => {
    try {
      return (await kubectl.json<{ items: Listed[] }>(['get', resource, '--all-namespaces'])).items;
    } catch (error) {
      const why = (error as Error).message;
      if (!NO_SUCH_KIND.test(why)) unreadable.push({ what: resource, why });
      return [];
    }
  };
  const { context, server } = await clusterOf(kubectl);
  const version = await versionOf(kubectl, server);
  const groups = await groupsOf(kubectl);
  const [nodes, daemonSets, apiServices] = [await list('nodes'), await list('daemonsets'), await list('apiservices')];
  const has = (group: string): boolean => Object.hasOwn(groups, group);
  const resourceSlices = has('resource.k8s.io') ? await list('resourceslices.resource.k8s.io') : [];
  const deviceClasses = has('resource.k8s.io') ? await list('deviceclasses.resource.k8s.io') : [];
  const prometheuses = has('monitoring.coreos.com') ? await list('prometheuses.monitoring.coreos.com') : [];
  const namespace = needs === undefined ? undefined : await namespaceOf(kubectl, needs.namespace, unreadable);
  return {
    context,
    server,
    version,
    groups,
    kinds: await kindsOf(kubectl, needs),
    nodes: nodes.map(nodeFacts),
    daemonSets: daemonSets.map(({ metadata, spec }) => ({
      namespace: metadata.namespace ?? '',
      name: metadata.name,
      images: imagesOf(spec),
    })),
    resourceSlices: resourceSlices.map(({ spec }) => ({
      driver: String(spec?.['driver']),
      ...(typeof spec?.['nodeName'] === 'string' ? { node: spec['nodeName'] } : {}),
    })),
    deviceClasses: deviceClasses.map(({ metadata }) => metadata.name),
    prometheuses: prometheuses.map(({ metadata, spec }) => ({
      namespace: metadata.namespace ?? '',
      name: metadata.name,
      ...(spec as Record<string, LabelSelector>),
    })),
    apiServices: apiServices.filter(({ spec }) => spec?.['service'] !== undefined).map(apiServiceFacts),
    ...(namespace === undefined ? {} : { namespace }),
    unreadable,
  };
}

async function clusterOf(kubectl: Kubectl): Promise<{ context: string; server: string }> {
  const config = await kubectl.json<{
    'current-context'?: string;
    contexts?: { name: string }[] | null;
    clusters?: { cluster: { server: string } }[] | null;
  }>(['config', 'view', '--minify']);
  return {
    // Minified, it has the context that is used and no other.
    context: config.contexts?.[0]?.name ?? config['current-context'] ?? '',
    server: config.clusters?.[0]?.cluster.server ?? '',
  };
}

async function versionOf(kubectl: Kubectl, server: string): Promise<string> {
  try {
    const { serverVersion } = await kubectl.json<{ serverVersion: { gitVersion: string } }>(['version']);
    return serverVersion.gitVersion;
  } catch (error) {
    throw new CliError(`${server} does not answer: ${(error as Error).message}`);
  }
}

async function groupsOf(kubectl: Kubectl): Promise<Record<string, readonly string[]>> {
  const { groups } = await kubectl.raw<{ groups: { name: string; versions: { version: string }[] }[] }>('/apis');
  const interesting = new Set([...ADDON_GROUPS, 'resource.k8s.io']);
  const named = groups.map(({ name, versions }) => [name, versions.map(({ version }) => version)] as const);
  return Object.fromEntries(named.filter(([name]) => interesting.has(name) || !name.includes('.')));
}

async function kindsOf(kubectl: Kubectl, needs: ServiceNeeds | undefined): Promise<Record<string, readonly string[]>> {
  const kinds: Record<string, readonly string[]> = {};
  for (const apiVersion of new Set((needs?.kinds ?? []).map((one) => one.apiVersion))) {
    try {
      const { resources } = await kubectl.raw<{ resources: { kind: string }[] }>(
        apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`,
      );
      kinds[apiVersion] = [...new Set(resources.map(({ kind }) => kind))];
    } catch (error) {
      if (!NO_SUCH_KIND.test((error as Error).message) && !NOT_FOUND.test((error as Error).message)) throw error;
    }
  }
  return kinds;
}

async function namespaceOf(
  kubectl: Kubectl,
  name: string,
  unreadable: { what: string; why: string }[],
): Promise<ClusterFacts['namespace']> {
  try {
    const { metadata } = await kubectl.json<Listed>(['get', 'namespace', name]);
    return { name, labels: metadata.labels ?? {} };
  } catch (error) {
    const why = (error as Error).message;
    if (!NOT_FOUND.test(why)) unreadable.push({ what: `namespace/${name}`, why });
    return undefined;
  }
}

function nodeFacts({ metadata, spec, status }: Listed): ClusterFacts['nodes'][number] {
  const info = (status?.['nodeInfo'] ?? {}) as { kubeletVersion?: string; containerRuntimeVersion?: string };
  return {
    name: metadata.name,
    labels: metadata.labels ?? {},
    taints: (spec?.['taints'] ?? []) as ClusterFacts['nodes'][number]['taints'],
    allocatable: (status?.['allocatable'] ?? {}) as Record<string, string>,
    kubelet: info.kubeletVersion ?? '',
    runtime: info.containerRuntimeVersion ?? '',
  };
}

function imagesOf(spec: Listed['spec']): readonly string[] {
  const template = spec?.['template'] as { spec?: { containers?: { image?: string }[] } } | undefined;
  return (template?.spec?.containers ?? []).flatMap(({ image }) => image ?? []);
}

function apiServiceFacts({ metadata, spec, status }: Listed): ClusterFacts['apiServices'][number] {
  const { namespace = '', name = '' } = spec!['service'] as { namespace?: string; name?: string };
  const conditions = (status?.['conditions'] ?? []) as { type: string; status: string; message?: string }[];
  const available = conditions.find(({ type }) => type === 'Available');
  return {
    name: metadata.name,
    service: `${namespace}/${name}`,
    isAvailable: available?.status === 'True',
    message: available?.message ?? 'nothing is known of it',
  };
}
