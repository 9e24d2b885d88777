// Patches that each break one promise of the add-ons, the warm images, the model store or the doctor.
const ADDONS = 'test/pulumi/platform-addons.test.ts';
const STORE = 'test/pulumi/prewarm-and-store.test.ts';
const PULL = 'test/server/pull-model.test.ts';
const EXAMINE = 'test/cli/doctor/examine.test.ts';
const CLUSTER = 'test/cli/doctor/doctor-cluster.test.ts';

export const MUTANTS = [
  {
    name: 'what add-ons provide is known before they are there',
    file: 'pulumi/platform-addons.ts',
    find: 'this.provides = pulumi.all(Object.values(releases).map(({ id }) => id)).apply(() => facts);',
    replace: 'this.provides = pulumi.output(facts);',
    test: {
      file: ADDONS,
      name: 'what is there is known once all of it is, so nothing can be built on it in a preview',
    },
  },
  {
    name: 'a chart that does not get ready stays as it is',
    file: 'pulumi/platform-addons.ts',
    find: 'atomic: true,',
    replace: 'atomic: false,',
    test: { file: ADDONS, name: 'every chart is of one version, all of it or nothing' },
  },
  {
    name: 'Grafana comes with the password of its documentation',
    file: 'pulumi/addon-values.ts',
    find: '? { enabled: false }\n        : {\n            enabled: true,\n            admin: {',
    replace: '? { enabled: true }\n        : {\n            enabled: true,\n            admin: {',
    test: { file: ADDONS, name: 'Prometheus finds the monitors of services' },
  },
  {
    name: 'the password of a mirror stands in the state of the component',
    file: 'pulumi/platform-addons.ts',
    find: 'return { ...args, mirror: { ...mirror, password: pulumi.secret(mirror.password) } };',
    replace: 'return args;',
    test: { file: ADDONS, name: 'a mirror has every chart and every image, and its password is a secret everywhere' },
  },
  {
    name: 'two device plugins are installed together',
    file: 'pulumi/platform-addons.ts',
    find: 'if (devicePlugin !== undefined && gpuOperator !== undefined) {',
    replace: 'if (devicePlugin !== undefined && gpuOperator === null) {',
    test: { file: ADDONS, name: 'two device plugins' },
  },
  {
    name: 'the device plugin stays off machines with the taint',
    file: 'pulumi/addon-values.ts',
    find: '    tolerations: [GPU_TOLERATION],\n    affinity',
    replace: '    tolerations: [],\n    affinity',
    test: { file: ADDONS, name: 'the device plugin lands on tainted GPU machines alone' },
  },
  {
    name: 'images are warmed by tag',
    file: 'pulumi/pinned-image.ts',
    find: '  assertPinnedImage(late, path);\n',
    replace: '',
    test: { file: ADDONS, name: 'image by tag' },
  },
  {
    name: 'warm pods may call anybody',
    file: 'pulumi/image-prewarm.ts',
    find: "policyTypes: ['Ingress', 'Egress']",
    replace: "policyTypes: ['Ingress']",
    test: { file: STORE, name: 'images are pulled before a service that depends on them' },
  },
  {
    name: 'a service does not wait for its model',
    file: 'pulumi/model-store.ts',
    find: 'pulumi.all([this.claimName, job.id]).apply(([claim]) => claim)',
    replace: 'pulumi.all([this.claimName]).apply(([claim]) => (job, claim))',
    test: { file: STORE, name: 'a service with a model of the store waits for its Job' },
  },
  {
    name: 'the Job of a store takes whatever manifest is there',
    file: 'pulumi/model-store.ts',
    find: 'args: [uri, FOLDER, `--manifest-sha256=${manifestSha256}`, `--timeout-seconds=${timeoutSeconds}`],',
    replace: 'args: [uri, FOLDER, `--timeout-seconds=${timeoutSeconds}`],',
    test: { file: STORE, name: 'a Job pulls one version by the digest of its manifest' },
  },
  {
    name: 'another manifest than the expected one is pulled',
    file: 'runtime/server/pull-model.ts',
    find: 'options.manifestSha256 !== undefined && options.manifestSha256 !== manifestSha256',
    replace: 'options.manifestSha256 === null',
    test: { file: PULL, name: 'another manifest than the one that was asked for is refused' },
  },
  {
    name: 'a version is put together where readers look',
    file: 'runtime/server/pull-model.ts',
    find: "const files = path.join(staging, 'files');",
    replace: 'const files = folder;',
    test: {
      file: PULL,
      name: 'a file that is not what its manifest says is refused by its digest, and no version appears',
    },
  },
  {
    name: 'a version that is there is taken for whole',
    file: 'runtime/server/pull-model.ts',
    find: 'if (got !== file.sha256) {',
    replace: 'if (got === undefined) {',
    test: { file: PULL, name: 'a file of the version that was damaged since, or is gone' },
  },
  {
    name: 'a selector that is not there selects everything',
    file: 'runtime/cli/doctor/examine-monitoring.ts',
    find: 'if (selector === undefined) return false;',
    replace: 'if (selector === undefined) return true;',
    test: { file: EXAMINE, name: 'a selector selects as Kubernetes does it' },
  },
  {
    name: 'GPUs that two agents give away are not seen',
    file: 'runtime/cli/doctor/examine-gpus.ts',
    find: 'nodes.filter((node) => byDra.has(node.name) && gpusOf(node).length > 0)',
    replace: 'nodes.filter((node) => byDra.has(node.name) && gpusOf(node).length > 9)',
    test: { file: EXAMINE, name: 'GPUs that two agents give away' },
  },
  {
    name: 'the doctor looks at the current context',
    file: 'runtime/cli/doctor.ts',
    find: 'if (kubeconfig === undefined && context === undefined) return undefined;',
    replace: '',
    test: { file: CLUSTER, name: 'no cluster is looked at that nobody named' },
  },
  {
    name: 'the Job that proves an identity stays',
    file: 'runtime/cli/doctor/probe-identity.ts',
    find: '    await remove(kubectl, namespace, [`job/${name}`, ...made.map(() => `serviceaccount/${serviceAccount}`)]);\n',
    replace: '',
    test: { file: CLUSTER, name: 'is proven by a Job that is gone afterwards' },
  },
  {
    name: 'the doctor removes a service account that was there',
    file: 'runtime/cli/doctor/probe-identity.ts',
    find: '...made.map(() => `serviceaccount/${serviceAccount}`)',
    replace: '`serviceaccount/${serviceAccount}`',
    test: { file: CLUSTER, name: 'of a service account that is there leaves it alone' },
  },
];
