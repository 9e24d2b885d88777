import { ADDON_CHARTS, type AddonName } from '../../../pulumi/addon-charts';

/** The command that installs what `PlatformAddons` would, in the same version and place. */
export function helmInstall(addon: AddonName): string {
  const { repository, chart, version, release, namespace } = ADDON_CHARTS[addon];
  const source = repository.startsWith('oci://') ? `${repository}/${chart}` : `${chart} --repo ${repository}`;
  return `new PlatformAddons(…, { ${addon}: {} }) in an earlier stack, or: helm install ${release} ${source} --version ${version} --namespace ${namespace} --create-namespace`;
}
