import { ADDON_CHARTS, type AddonName } from './addon-charts';

/** Who brings the kinds of a group: an add-on by its name in ADDON_CHARTS, or a page that says how. */
export const KIND_GROUPS: Readonly<Record<string, string>> = {
  'keda.sh': 'keda',
  'http.keda.sh': 'kedaHttp',
  'monitoring.coreos.com': 'monitoring',
  'gateway.networking.k8s.io': 'gateway',
  'serving.kserve.io': 'https://kserve.github.io/website/docs/admin-guide/overview',
  'karpenter.sh': 'karpenter',
  'kueue.x-k8s.io': 'kueue',
};

/** The command that installs what `PlatformAddons` would, in the same version and place. */
export function helmInstall(addon: AddonName): string {
  const { repository, chart, version, release, namespace } = ADDON_CHARTS[addon];
  const source = repository.startsWith('oci://') ? `${repository}/${chart}` : `${chart} --repo ${repository}`;
  return `new PlatformAddons(…, { ${addon}: {} }) in an earlier stack, or: helm install ${release} ${source} --version ${version} --namespace ${namespace} --create-namespace`;
}

/** What brings the kinds of a version of an API, `keda.sh/v1alpha1`. */
export function installKinds(apiVersion: string): string {
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0]! : '';
  const by = Object.hasOwn(KIND_GROUPS, group) ? KIND_GROUPS[group]! : 'upgrade the cluster to a version that has it';
  return isAddon(by) ? helmInstall(by) : by;
}

export function isAddon(name: string): name is AddonName {
  return Object.hasOwn(ADDON_CHARTS, name);
}

export const INSTALL_DRA_DRIVER =
  'install the NVIDIA DRA driver: https://github.com/kubernetes-sigs/dra-driver-nvidia-gpu';

export function bindIdentity(serviceAccount: string): string {
  return `bind the service account to an identity that may read it: new WorkloadIdentity(…, { serviceAccountName: '${serviceAccount}', reads: […] })`;
}

export function makeNamespace(namespace: string): string {
  return `kubectl create namespace ${namespace}, or createNamespace: true`;
}
