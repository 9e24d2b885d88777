import { ADDON_CHARTS } from '../../../pulumi/addon-charts';
import { installKinds, isAddon, KIND_GROUPS } from '../../../pulumi/remedies';
import { counted, type Checkup } from './checkup';
import type { ClusterFacts, ServiceNeeds } from './facts';
import { minorOf } from './minor-version';

/** What everything that is rendered needs; see runtime/spec/kubernetes/requirements.ts. */
const FIRST_MINOR = 27;
const IMAGE_VOLUMES_MINOR = 34;
/** First containerd that mounts images, by keps/sig-node/4639-oci-volume-source of kubernetes/enhancements. */
const CONTAINERD_FOR_IMAGES = [2, 1] as const;

/** Groups that are asked about, whatever a service uses. */
export const ADDON_GROUPS: readonly string[] = Object.keys(KIND_GROUPS);

export function examineCluster(cluster: ClusterFacts, needs: ServiceNeeds | undefined): readonly Checkup[] {
  return [
    versionOf(cluster),
    ...cluster.unreadable.map(({ what, why }): Checkup => ({
      code: 'cluster-unreadable',
      severity: 'warning',
      what: `${what} could not be read, so what depends on it was not looked at`,
      evidence: why,
      fix: `kubectl auth can-i get ${what} --all-namespaces`,
    })),
    ...(needs === undefined
      ? presentAddons(cluster)
      : [...missingKinds(cluster, needs), ...imageVolumes(cluster, needs)]),
  ];
}

function versionOf({ version }: ClusterFacts): Checkup {
  const isOld = (minorOf(version) ?? FIRST_MINOR) < FIRST_MINOR;
  return {
    code: 'cluster-version',
    severity: isOld ? 'error' : 'ok',
    what: isOld ? `services need Kubernetes 1.${FIRST_MINOR} or newer` : 'the cluster is new enough',
    evidence: `Kubernetes ${version}`,
    ...(isOld ? { fix: "upgrade the cluster, by its cloud's own way" } : {}),
  };
}

function missingKinds(cluster: ClusterFacts, { kinds }: ServiceNeeds): readonly Checkup[] {
  const missing = kinds.filter(({ apiVersion, kind }) => cluster.kinds[apiVersion]?.includes(kind) !== true);
  if (missing.length === 0) {
    return [
      {
        code: 'kind-missing',
        severity: 'ok',
        what: 'the API server has every kind of object that the service is made of',
        evidence: kinds.map(({ kind }) => kind).join(', '),
      },
    ];
  }
  return missing.map(({ apiVersion, kind, object }): Checkup => {
    const group = apiVersion.includes('/') ? apiVersion.split('/')[0]! : '';
    const served = cluster.groups[group] ?? [];
    return {
      code: 'kind-missing',
      severity: 'error',
      what: `the API server has no ${kind} of ${apiVersion}, which ${object} is`,
      evidence: served.length === 0 ? `no version of ${group} is served` : `of ${group} it serves ${served.join(', ')}`,
      fix: installKinds(apiVersion),
    };
  });
}

/** For `existing` of PlatformAddons: what is there must not be installed a second time. */
function presentAddons(cluster: ClusterFacts): readonly Checkup[] {
  return Object.entries(KIND_GROUPS).flatMap(([group, addon]): readonly Checkup[] => {
    const served = cluster.groups[group] ?? [];
    if (served.length === 0 || !isAddon(addon)) return [];
    return [
      {
        code: 'add-on-present',
        severity: 'note',
        what: `${ADDON_CHARTS[addon].chart} is there already, its kinds at least`,
        evidence: `${group} ${served.join(', ')} is served`,
        fix: `new PlatformAddons(…, { ${addon}: { existing: true } })`,
      },
    ];
  });
}

function imageVolumes(cluster: ClusterFacts, { imageVolumes: models, nodeSelector }: ServiceNeeds): readonly Checkup[] {
  const [model] = models;
  if (model === undefined) return [];
  const finding = { code: 'image-volumes' } as const;
  const instead = `upgrade, or have model '${model}' fetched: leave its image out and name its model repository`;
  const minor = minorOf(cluster.version);
  if (minor !== undefined && minor < IMAGE_VOLUMES_MINOR) {
    return [
      {
        ...finding,
        severity: 'error',
        what: `the image of model '${model}' is mounted, which Kubernetes does from 1.${IMAGE_VOLUMES_MINOR} on`,
        evidence: `Kubernetes ${cluster.version}`,
        fix: instead,
      },
    ];
  }
  const old = cluster.nodes
    .filter(({ labels }) => Object.entries(nodeSelector).every(([key, value]) => labels[key] === value))
    .filter(
      ({ kubelet, runtime }) =>
        (minorOf(kubelet) ?? IMAGE_VOLUMES_MINOR) < IMAGE_VOLUMES_MINOR || isOldContainerd(runtime),
    );
  const [first] = old;
  if (first === undefined) {
    return [
      {
        ...finding,
        severity: 'ok',
        what: 'images of models can be mounted',
        evidence: `Kubernetes ${cluster.version}, and no machine of the service is older`,
      },
    ];
  }
  return [
    {
      ...finding,
      severity: 'error',
      what: `${counted(old.length, 'machine')} cannot mount the image of model '${model}'`,
      evidence: `${first.name}: kubelet ${first.kubelet}, ${first.runtime}; it takes 1.${IMAGE_VOLUMES_MINOR} and containerd ${CONTAINERD_FOR_IMAGES.join('.')}`,
      fix: instead,
    },
  ];
}

function isOldContainerd(runtime: string): boolean {
  const [, major, minor] = /^containerd:\/\/v?(\d+)\.(\d+)/.exec(runtime) ?? [];
  if (major === undefined) return false;
  const [floorMajor, floorMinor] = CONTAINERD_FOR_IMAGES;
  return Number(major) < floorMajor || (Number(major) === floorMajor && Number(minor) < floorMinor);
}
