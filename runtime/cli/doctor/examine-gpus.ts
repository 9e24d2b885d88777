import { helmInstall, INSTALL_DRA_DRIVER } from '../../../pulumi/remedies';
import { GPU_TAINT } from '../../spec/kubernetes/placement';
import { counted, type Checkup } from './checkup';
import type { ClusterFacts, NodeFacts, ServiceNeeds, Toleration } from './facts';

const GPU = /^nvidia\.com\/(gpu|mig-)/;
const DRA_DRIVER = 'gpu.nvidia.com';
const PLUGIN_IMAGE = /(^|\/)(k8s-device-plugin|nvidia-gpu-device-plugin)([:@]|$)/;

/** Of the CUDA 12 in the server's image, https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html. */
const DRIVER_FLOOR = 525;
/** Where GPU feature discovery says it, in its present and in its earlier words. */
const DRIVER_LABELS = ['nvidia.com/cuda.driver-version.major', 'nvidia.com/cuda.driver.major'] as const;

export function examineGpus(cluster: ClusterFacts, needs: ServiceNeeds | undefined): readonly Checkup[] {
  return [
    ...claimedTwice(cluster),
    ...untainted(cluster),
    ...(needs === undefined
      ? []
      : [
          ...poolOf(cluster, needs),
          ...(needs.gpu === undefined ? [] : [...offered(cluster, needs), ...driverOf(cluster, needs)]),
        ]),
  ];
}

/** Machines whose GPUs two agents give away: pods of the one would run on what the other has given. */
function claimedTwice({ nodes, resourceSlices, daemonSets }: ClusterFacts): readonly Checkup[] {
  const plugins = daemonSets.filter(({ images }) => images.some((image) => PLUGIN_IMAGE.test(image)));
  const named = plugins.map(({ namespace, name }) => `${namespace}/${name}`);
  const byDra = new Set(resourceSlices.filter(({ driver }) => driver === DRA_DRIVER).map(({ node }) => node));
  const both = nodes.filter((node) => byDra.has(node.name) && gpusOf(node).length > 0);
  const [first] = both;
  const [, second] = plugins;
  return [
    ...(first === undefined
      ? []
      : [
          {
            code: 'gpu-claimed-twice',
            severity: 'error',
            what: `the device plugin and the driver of Dynamic Resource Allocation both give away the GPUs of ${counted(both.length, 'machine')}`,
            evidence: `${first.name} has ${gpusOf(first).join(', ')} and a ResourceSlice of ${DRA_DRIVER}`,
            fix: `keep one of them; the device plugin is ${named.join(' and ') || 'what made nvidia.com/gpu appear'}`,
          } as const,
        ]),
    ...(second === undefined
      ? []
      : [
          {
            code: 'gpu-claimed-twice',
            severity: 'error',
            what: 'more than one NVIDIA device plugin is installed',
            evidence: named.join(', '),
            fix: `kubectl delete daemonset ${second.name} --namespace ${second.namespace}, or uninstall its chart`,
          } as const,
        ]),
  ];
}

function untainted({ nodes }: ClusterFacts): readonly Checkup[] {
  const open = nodes.filter((node) => gpusOf(node).length > 0 && !node.taints.some(({ key }) => key === GPU_TAINT.key));
  if (open.length === 0) return [];
  return [
    {
      code: 'gpu-taint',
      severity: 'warning',
      what: `anything may land on ${counted(open.length, 'GPU machine')}, fill it, and keep it from being scaled in`,
      evidence: `no taint ${GPU_TAINT.key} on ${list(open.map(({ name }) => name))}`,
      fix: `kubectl taint nodes ${open[0]!.name} ${GPU_TAINT.key}=${GPU_TAINT.value}:${GPU_TAINT.effect}`,
    },
  ];
}

/** Machines that pods of the service may land on, and whether they may. */
function poolOf({ nodes }: ClusterFacts, needs: ServiceNeeds): readonly Checkup[] {
  const pool = nodesFor(nodes, needs);
  const selector = Object.entries(needs.nodeSelector).map(([key, value]) => `${key}=${value}`);
  if (pool.length === 0) {
    if (selector.length === 0) return [];
    return [
      {
        code: 'pool-nodes',
        severity: 'note',
        what: 'there is no machine of the pool now; that is right where the pool grows from zero',
        evidence: `no node has ${selector.join(', ')}`,
        fix: `kubectl get nodes --selector ${selector.join(',')}`,
      },
    ];
  }
  const refused = pool.filter((node) => node.taints.some((taint) => !isTolerated(taint, needs.tolerations)));
  if (refused.length < pool.length) {
    return [
      {
        code: 'pool-nodes',
        severity: 'ok',
        what: 'there are machines that take pods of the service',
        evidence: `${pool.length - refused.length} of ${nodes.length} nodes`,
      },
    ];
  }
  const [{ name, taints }] = refused as [NodeFacts];
  const taint = taints.find((one) => !isTolerated(one, needs.tolerations))!;
  return [
    {
      code: 'pool-nodes',
      severity: 'error',
      what: 'every machine of the pool has a taint that pods of the service do not tolerate',
      evidence: `${name} has ${taint.key}${taint.value === undefined ? '' : `=${taint.value}`}:${taint.effect}`,
      fix: `kubectl taint nodes ${name} ${taint.key}:${taint.effect}-, or tolerate it in the placement`,
    },
  ];
}

/** Whether anything gives GPUs away as the service asks for them. */
function offered(cluster: ClusterFacts, needs: ServiceNeeds): readonly Checkup[] {
  const { resourceName, perReplica, usesDra, deviceClass } = needs.gpu!;
  const pool = nodesFor(cluster.nodes, needs);
  if (usesDra) {
    const isThere = cluster.deviceClasses.includes(deviceClass);
    return [
      {
        code: 'gpu-dra',
        severity: isThere ? 'ok' : 'error',
        what: isThere ? 'GPUs can be claimed' : `there is no device class '${deviceClass}', so no claim is ever met`,
        evidence: `device classes: ${list(cluster.deviceClasses) || 'none'}`,
        ...(isThere ? {} : { fix: INSTALL_DRA_DRIVER }),
      },
    ];
  }
  const without = pool.filter(({ allocatable }) => Number(allocatable[resourceName] ?? 0) < perReplica);
  const enough = pool.length - without.length;
  if (pool.length === 0 || enough === pool.length) {
    const hasPlugin = cluster.daemonSets.some(({ images }) => images.some((image) => PLUGIN_IMAGE.test(image)));
    if (pool.length > 0) {
      return [
        {
          code: 'gpu-nodes',
          severity: 'ok',
          what: `every machine of the pool offers ${resourceName}`,
          evidence: counted(enough, 'node'),
        },
      ];
    }
    return [
      {
        code: 'gpu-device-plugin',
        severity: hasPlugin ? 'ok' : 'note',
        what: hasPlugin
          ? 'a device plugin waits for machines'
          : 'no device plugin is installed that could be seen; clouds that bring one hide it',
        evidence: `${cluster.daemonSets.length} DaemonSets`,
        ...(hasPlugin ? {} : { fix: helmInstall('devicePlugin') }),
      },
    ];
  }
  const [first] = without as [NodeFacts];
  const seen = gpusOf(first);
  return [
    {
      code: 'gpu-nodes',
      severity: enough === 0 ? 'error' : 'warning',
      what: `${without.length} of ${pool.length} machines of the pool do not offer ${perReplica} ${resourceName}, so no replica lands there`,
      evidence: `${first.name} offers ${list(seen) || 'no GPU'}`,
      fix:
        seen.length === 0
          ? helmInstall('devicePlugin')
          : `share the GPUs of the pool as its placement says: ${resourceName}`,
    },
  ];
}

/** Known where feature discovery runs; nothing else in a cluster says it. */
function driverOf({ nodes }: ClusterFacts, needs: ServiceNeeds): readonly Checkup[] {
  const known = nodesFor(nodes, needs).flatMap(({ name, labels }) => {
    const major = DRIVER_LABELS.map((label) => labels[label]).find((value) => value !== undefined);
    return major === undefined ? [] : [{ name, major }];
  });
  const old = known.find(({ major }) => Number(major) < DRIVER_FLOOR);
  if (old !== undefined) {
    return [
      {
        code: 'gpu-driver',
        severity: 'error',
        what: `the driver of ${old.name} is too old for the CUDA 12 in the server's image`,
        evidence: `driver ${old.major}, at least ${DRIVER_FLOOR} is needed`,
        fix: "take a newer image for the pool's machines, or gpuOperator: { installDriver: true } of PlatformAddons",
      },
    ];
  }
  const [first] = known;
  return first === undefined
    ? []
    : [
        {
          code: 'gpu-driver',
          severity: 'ok',
          what: 'drivers are new enough for the CUDA 12 of the server',
          evidence: `${first.name} has driver ${first.major}`,
        },
      ];
}

function nodesFor(nodes: readonly NodeFacts[], { nodeSelector, gpu }: ServiceNeeds): readonly NodeFacts[] {
  const selector = Object.entries(nodeSelector);
  // Without a pool, a GPU service lands wherever there is a GPU.
  if (selector.length === 0 && gpu !== undefined) return nodes.filter((node) => gpusOf(node).length > 0);
  return nodes.filter(({ labels }) => selector.every(([key, value]) => labels[key] === value));
}

function gpusOf({ allocatable }: NodeFacts): readonly string[] {
  return Object.entries(allocatable)
    .filter(([name, amount]) => GPU.test(name) && Number(amount) > 0)
    .map(([name, amount]) => `${amount} ${name}`);
}

function isTolerated(taint: NodeFacts['taints'][number], tolerations: readonly Toleration[]): boolean {
  if (taint.effect === 'PreferNoSchedule') return true;
  return tolerations.some(
    ({ key, operator = 'Equal', value, effect }) =>
      (effect === undefined || effect === taint.effect) &&
      (operator === 'Exists'
        ? key === undefined || key === taint.key
        : key === taint.key && (value ?? '') === (taint.value ?? '')),
  );
}

function list(items: readonly string[]): string {
  return items.length <= 5 ? items.join(', ') : `${items.slice(0, 5).join(', ')} and ${items.length - 5} more`;
}
