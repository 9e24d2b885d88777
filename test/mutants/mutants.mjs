// Each entry breaks one promise: `file` with its only `find` replaced by `replace`, and the test that must turn red.
// `build` says what is built again first: the 'server' bundle, or the 'libraries' that programs load.
export const MUTANTS = [
  {
    name: 'a drain may outlast the stop timeout',
    file: 'runtime/spec/lifecycle.ts',
    find: 'if (stopTimeoutSeconds < drainSeconds)',
    replace: 'if (stopTimeoutSeconds < 0)',
    test: { file: 'test/spec/inference-service-plan.test.ts', name: 'a drain longer than the stop' },
  },
  {
    name: 'a GPU is accepted on Fargate',
    file: 'runtime/spec/sizing.ts',
    find: "if (capacity === 'fargate') assertFargateCanRun(spec, executionProvider, gpuCount);",
    replace: '',
    test: { file: 'test/spec/inference-service-plan.test.ts', name: 'a GPU on Fargate' },
  },
  {
    name: 'the startup probe gives up before the budget',
    file: 'runtime/spec/lifecycle.ts',
    find: 'failureThreshold: Math.ceil(startupBudgetSeconds / 5)',
    replace: 'failureThreshold: 3',
    test: { file: 'test/spec/lifecycle.test.ts', name: 'every budget derives from the startup budget' },
  },
  {
    name: 'liveness asks for ready',
    file: 'runtime/spec/lifecycle.ts',
    find: 'livenessProbe: { path: PATHS.live',
    replace: 'livenessProbe: { path: PATHS.ready',
    test: { file: 'test/spec/kubernetes.test.ts', name: 'live never asks for ready' },
  },
  {
    name: 'pods may run as root',
    file: 'runtime/spec/kubernetes/deployment.ts',
    find: '      allowPrivilegeEscalation: false,\n      readOnlyRootFilesystem: true,\n      runAsNonRoot: true,',
    replace:
      '      allowPrivilegeEscalation: false,\n      readOnlyRootFilesystem: true,\n      runAsNonRoot: false as true,',
    test: { file: 'test/spec/kubernetes.test.ts', name: 'satisfies Pod Security restricted' },
  },
  {
    name: 'the identity’s endpoint is not reachable',
    file: 'runtime/spec/kubernetes/network-policy.ts',
    find: '...identity.egress.map(',
    replace: '...identity.egress.slice(1).map(',
    test: { file: 'test/spec/kubernetes.test.ts', name: 'lets out names, HTTPS and what the identity needs' },
  },
  {
    name: 'an unknown variable is ignored',
    file: 'runtime/spec/environment.ts',
    find: 'if (!known.includes(variable)) {',
    replace: 'if (false) {',
    test: { file: 'test/spec/environment.test.ts', name: 'the server refuses' },
  },
  {
    name: 'a newer contract is served anyway',
    file: 'runtime/spec/environment.ts',
    find: '  assertContract(given.get(ENVIRONMENT.contract.variable));\n',
    replace: '',
    test: { file: 'test/spec/environment.test.ts', name: 'CONTRACT_TOO_NEW' },
  },
  {
    name: 'the plan forgets to tell the deadline',
    file: 'runtime/spec/environment.ts',
    find: '      requestDeadlineSeconds: lifecycle.requestDeadlineSeconds,\n',
    replace: '',
    test: { file: 'test/spec/environment.test.ts', name: 'is undone by the server’s reader' },
  },
  {
    name: 'a model’s grant covers the whole bucket',
    file: 'runtime/spec/permissions.ts',
    find: 'prefix: modelPrefix(name)',
    replace: "prefix: ''",
    test: { file: 'test/spec/inference-service-plan.test.ts', name: 'grants objects of the model’s own prefix' },
  },
  {
    name: 'a manifest’s file may leave its folder',
    file: 'runtime/spec/model-manifest.ts',
    find: "part !== '' && part !== '.' && part !== '..'",
    replace: "part !== '' && part !== '.'",
    test: { file: 'test/spec/model-manifest.test.ts', name: 'a file leaves the folder' },
  },
  {
    name: 'another model is the same pod',
    file: 'runtime/spec/inference-service-plan.ts',
    find: 'return { [LABELS.models]: plan.modelsRevision,',
    replace: 'return { [LABELS.models]: plan.name,',
    test: { file: 'test/spec/kubernetes.test.ts', name: 'changes with the models it serves' },
  },
];
