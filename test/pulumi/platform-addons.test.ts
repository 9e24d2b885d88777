import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { ADDON_CHARTS, ADDON_NAMES, CHARTS_READ_ON } from '../../pulumi/addon-charts';
import { devicePluginConfig } from '../../pulumi/addon-values';
import {
  assertSameResources,
  assertSucceeded,
  findDescendants,
  findResource,
  findResources,
  isSecret,
  madeInsideApply,
  propertyAt,
  runPulumiProgram,
  UNKNOWN,
  type PropertyValue,
  type PulumiRecording,
} from 'slipway/testing';

// Programs run in processes of their own, seconds each on a busy machine.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let preview: PulumiRecording;
let up: PulumiRecording;

beforeAll(async () => {
  preview = assertSucceeded(await run('platform-addons', { preview: true }));
  up = assertSucceeded(await run('platform-addons'));
});

test('preview and up make the same resources, all of them charts and namespaces, and none inside an apply', () => {
  expect(() => assertSameResources(preview, up)).not.toThrow();
  expect(madeInsideApply(up)).toEqual([]);
  // Names of children are public API.
  const children = findDescendants(up, findResource(up, 'slipway:index:PlatformAddons', 'platform').urn);
  expect(children.map(({ type, name }) => `${type} ${name}`).sort()).toEqual([
    'kubernetes:core/v1:Namespace platform-envoy-gateway-system',
    'kubernetes:core/v1:Namespace platform-keda',
    'kubernetes:core/v1:Namespace platform-monitoring',
    'kubernetes:core/v1:Namespace platform-nvidia-device-plugin',
    'kubernetes:helm.sh/v3:Release platform-envoy-gateway',
    'kubernetes:helm.sh/v3:Release platform-keda',
    'kubernetes:helm.sh/v3:Release platform-keda-add-ons-http',
    'kubernetes:helm.sh/v3:Release platform-kube-prometheus-stack',
    'kubernetes:helm.sh/v3:Release platform-nvidia-device-plugin',
  ]);
});

test('every chart is of one version, all of it or nothing, and the provider waits longer than Helm', () => {
  for (const { name, inputs, customTimeouts, deleteBeforeReplace } of findResources(up, RELEASE)) {
    expect(inputs['version'], name).toMatch(/^v?\d+\.\d+\.\d+$/);
    expect(inputs, name).toMatchObject({ atomic: true, cleanupOnFail: true });
    expect(Number.parseInt(customTimeouts.create!), name).toBeGreaterThan(inputs['timeout'] as number);
    expect(deleteBeforeReplace, name).toBe(true);
  }
});

test('what uses the kinds or the services of another add-on comes after it', () => {
  const names = ({
    propertyDependencies: _,
    dependencies,
  }: {
    propertyDependencies?: unknown;
    dependencies: readonly string[];
  }) => dependencies.map((urn) => urn.split('::').at(-1));
  expect(names(release('platform-keda-add-ons-http'))).toContain('platform-keda');
  expect(names(release('platform-keda'))).toContain('platform-kube-prometheus-stack');
  expect(names(release('private-karpenter'))).toContain('private-kube-prometheus-stack');
  expect(names(release('platform-keda'))).toContain('platform-keda');
});

test('what is there is known once all of it is, so nothing can be built on it in a preview', () => {
  expect(preview.stackOutputs['provides']).toEqual(UNKNOWN);
  expect(up.stackOutputs['provides']).toEqual({
    gpuResourceName: 'nvidia.com/gpu',
    sharesPerGpu: 4,
    kedaNamespace: 'keda',
    interceptorNamespace: 'keda',
    monitoringNamespace: 'monitoring',
    prometheusUrl: 'http://prometheus-operated.monitoring.svc:9090',
    monitorLabels: { release: 'kube-prometheus-stack' },
    gatewayController: 'gateway.envoyproxy.io/gatewayclass-controller',
  });
});

test('the device plugin lands on tainted GPU machines alone, and shares their GPUs as it was told', () => {
  const values = valuesOf('platform-nvidia-device-plugin');
  expect(values['tolerations']).toEqual([{ key: 'nvidia.com/gpu', operator: 'Exists', effect: 'NoSchedule' }]);
  const terms = propertyAt(
    values,
    'affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms',
  ) as { matchExpressions: { key: string }[] }[];
  expect(terms.flatMap(({ matchExpressions }) => matchExpressions.map(({ key }) => key))).toContain('slipway.dev/pool');
  const config = JSON.parse(propertyAt(values, 'config.map.default') as string);
  expect(config.sharing.timeSlicing.resources).toEqual([{ name: 'nvidia.com/gpu', replicas: 4 }]);
  expect(propertyAt(values, 'config.default')).toBe('default');
});

test('GPUs are shared by time, by MPS or in parts, or not at all', () => {
  const configOf = (sharing?: Parameters<typeof devicePluginConfig>[0]) => JSON.parse(devicePluginConfig(sharing));
  expect(configOf()).toEqual({ version: 'v1', flags: { migStrategy: 'none' } });
  expect(configOf({ strategy: 'mps', podsPerGpu: 8 })).toEqual({
    version: 'v1',
    flags: { migStrategy: 'none' },
    sharing: { mps: { renameByDefault: false, resources: [{ name: 'nvidia.com/gpu', replicas: 8 }] } },
  });
  // The parts have names of their own; who makes them is the operator, or the machine.
  expect(configOf({ strategy: 'mig', podsPerGpu: 7, migProfile: '1g.5gb' })).toEqual({
    version: 'v1',
    flags: { migStrategy: 'mixed' },
  });
});

test('Prometheus finds the monitors of services by the label that services put on them, and Grafana has no known password', () => {
  const values = valuesOf('platform-kube-prometheus-stack');
  expect(release('platform-kube-prometheus-stack').inputs['name']).toBe('kube-prometheus-stack');
  expect(propertyAt(values, 'prometheus.prometheusSpec')).toMatchObject({
    serviceMonitorSelectorNilUsesHelmValues: true,
    ruleSelectorNilUsesHelmValues: true,
  });
  expect(propertyAt(values, 'grafana.admin')).toEqual({
    existingSecret: 'grafana-admin',
    userKey: 'admin-user',
    passwordKey: 'admin-password',
  });
  expect(propertyAt(valuesOf('private-kube-prometheus-stack'), 'grafana')).toEqual({ enabled: false });
  expect(JSON.stringify(up.resources.map(({ inputs }) => inputs))).not.toContain('adminPassword');
  expect(propertyAt(valuesOf('platform-keda'), 'prometheus.operator.serviceMonitor')).toEqual({
    enabled: true,
    additionalLabels: { release: 'kube-prometheus-stack' },
  });
});

test('a mirror has every chart and every image, and its password is a secret everywhere', () => {
  const mirrored = findResources(up, RELEASE).filter(({ name }) => name.startsWith('private-'));
  expect(mirrored).toHaveLength(5);
  for (const { name, inputs } of mirrored) {
    expect(inputs['chart'], name).toMatch(/^oci:\/\/registry\.example\.com\/charts\/[a-z-]+$/);
    expect(inputs['repositoryOpts'], name).toMatchObject({ username: 'reader' });
    expect(JSON.stringify(inputs['values']), name).toContain('registry.example.com');
  }
  for (const { inputs } of [...up.resources, ...preview.resources]) {
    expect(JSON.stringify(withoutSecrets(inputs))).not.toContain('plain-text-password');
  }
});

test('a cluster that is not there yet is waited for, and protect and the provider reach every child', () => {
  expect(propertyAt(valuesOf('private-karpenter', preview), 'settings.clusterName')).toEqual(UNKNOWN);
  expect(propertyAt(valuesOf('private-karpenter'), 'settings')).toEqual({
    clusterName: 'blue',
    interruptionQueue: 'spot',
  });
  const children = findDescendants(up, findResource(up, 'slipway:index:PlatformAddons', 'private').urn);
  expect(children.filter(({ protect }) => !protect)).toEqual([]);
  expect(children.filter(({ provider }) => !provider.includes('providers:kubernetes::elsewhere::'))).toEqual([]);
  expect(release('private-kube-prometheus-stack').inputs).toMatchObject({
    namespace: 'observability',
    version: '88.5.3',
    takeOwnership: true,
  });
});

test('an add-on that is there already is not installed, and no namespace is made that is there', () => {
  const names = findDescendants(up, findResource(up, 'slipway:index:PlatformAddons', 'private').urn).map(
    ({ name }) => name,
  );
  expect(names.filter((name) => /gpu-operator|kube-system|observability/.test(name))).toEqual([]);
  expect(release('private-karpenter').inputs['namespace']).toBe('kube-system');
});

test('machines are looked at from privileged namespaces alone', () => {
  const levels = findResources(up, 'kubernetes:core/v1:Namespace').map(({ name, inputs }) => [
    name,
    (propertyAt(inputs, 'metadata.labels') as Record<string, string> | undefined)?.[
      'pod-security.kubernetes.io/enforce'
    ],
  ]);
  expect(Object.fromEntries(levels)).toEqual({
    'cluster-name': undefined,
    'platform-envoy-gateway-system': 'baseline',
    'platform-keda': 'baseline',
    'platform-monitoring': 'privileged',
    'platform-nvidia-device-plugin': 'privileged',
    'private-keda': 'baseline',
    'private-kueue-system': 'baseline',
  });
});

test('every add-on has a chart with its source', () => {
  expect([...ADDON_NAMES].sort()).toEqual(Object.keys(ADDON_CHARTS).sort());
  for (const { source, keysReadIn } of Object.values(ADDON_CHARTS)) {
    expect([source, keysReadIn]).toEqual([expect.stringMatching(/^https:\/\//), expect.stringMatching(/^https:\/\//)]);
  }
});

test('the page lists every add-on as it is installed', () => {
  const page = readFileSync(path.join(__dirname, '../../docs/pulumi/platform.md'), 'utf8');
  for (const [addon, { chart, version, namespace }] of Object.entries(ADDON_CHARTS)) {
    expect(page).toContain(`| \`${addon}\` | \`${chart}\` | ${version} | \`${namespace}\` |`);
  }
  expect(page).toContain(`Versions were read on ${CHARTS_READ_ON}`);
});

describe('a contradiction is refused in one line under its component, before any of its children is declared', () => {
  test.each([
    ['two device plugins', 'ADDONS_CHOICE gpuOperator: has a device plugin in it'],
    ['HTTP add-on alone', 'ADDONS_CHOICE kedaHttp: needs KEDA'],
    ['mirror for the operator', 'ADDONS_CHOICE mirror.images: cannot be given to the GPU operator'],
    [
      'mirror with half a login',
      'ADDONS_CHOICE mirror: must have username and password, or neither, got only the username',
    ],
    ['mirror with a slash', "ADDONS_CHOICE mirror.images: must be a registry such as 'registry.example.com'"],
    [
      'mirror that is no OCI registry',
      "ADDONS_CHOICE mirror.charts: must be a registry such as 'oci://registry.example.com/charts'",
    ],
    ['existing with a version', 'ADDONS_CHOICE keda.version: says how to install it'],
    ['existing and adopted', 'ADDONS_CHOICE keda.adopt: says how to install it'],
    ['time slices of one', 'NUMBER_INVALID sharing.podsPerGpu: '],
    ['timeout of a second', 'NUMBER_INVALID timeoutSeconds: '],
    ['nothing to pull', 'PREWARM_EMPTY serverImages: must name at least one image'],
    ['models and nothing to wait', 'PREWARM_EMPTY pauseImage: must be given where no server image is'],
    ['image by tag', 'IMAGE_NOT_PINNED serverImages[1]: '],
    ['store with a name that no object has', 'NAME_INVALID name: must be 1 to 40 lower-case letters'],
    ['store of no size', 'MODEL_STORE_CHOICE sizeGiB: give the size of a claim to make, or existingClaim, got neither'],
    ['store of two sizes', 'MODEL_STORE_CHOICE sizeGiB: give the size of a claim to make, or existingClaim, got both'],
    ['class of a claim that is there', 'MODEL_STORE_CHOICE storageClassName: is of a claim that is made'],
    ['store by tag', 'IMAGE_NOT_PINNED image: '],
  ])('%s', async (mistake, message) => {
    const recording = await run('platform-refused', { config: { mistake } });
    const errors = recording.logs.filter(({ severity }) => severity === 'error');
    expect(errors.map((error) => error.message.split('\n').length)).toEqual([1]);
    expect(errors[0]!.message).toContain(message);
    expect(recording.resources.filter(({ custom }) => custom)).toEqual([]);
  });
});

describe('what is found later is refused in one line, too', () => {
  test.each([
    ['late image by tag', 'IMAGE_NOT_PINNED serverImages[0]: '],
    ['manifest not there', 'MANIFEST_INVALID nowhere.json: does not exist'],
    ['manifest of no file', 'MODEL_STORE_CHOICE digits.manifest: must be given'],
  ])('%s', async (mistake, message) => {
    const recording = await run('platform-refused', { config: { mistake } });
    expect(recording.exitCode).not.toBe(0);
    const errors = recording.logs.filter(({ severity }) => severity === 'error');
    expect(errors.map((error) => error.message.split('\n').length)).toEqual([1]);
    expect(errors[0]!.message).toContain(message);
    const pods = ['kubernetes:apps/v1:DaemonSet', 'kubernetes:batch/v1:Job'];
    expect(recording.resources.filter(({ type }) => pods.includes(type))).toEqual([]);
  });
});

const RELEASE = 'kubernetes:helm.sh/v3:Release';

function release(name: string) {
  return findResource(up, RELEASE, name);
}

function valuesOf(name: string, recording = up) {
  return findResource(recording, RELEASE, name).inputs['values'] as Record<string, PropertyValue>;
}

/** What is left to read when every secret is covered. */
function withoutSecrets(value: PropertyValue): PropertyValue {
  if (isSecret(value)) return '***';
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutSecrets(item as PropertyValue)]));
}

function run(
  program: string,
  options: { preview?: boolean; config?: Record<string, string> } = {},
): Promise<PulumiRecording> {
  return runPulumiProgram({
    program: path.join(__dirname, 'programs', `${program}.ts`),
    typeCheck: false,
    onResource: ({ name }) => (name === 'cluster-name' ? { state: { metadata: { uid: 'blue' } } } : undefined),
    ...options,
  });
}
