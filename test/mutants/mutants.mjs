// Each entry breaks one promise: `file` with its only `find` replaced by `replace`, and the test that must turn red.
// `build: 'libraries'` has the libraries compiled again first, which programs load; the server is bundled by its tests.
// Those of the engines and of the model tools are beside this file, in cdk-<area>.mjs, pulumi-<area>.mjs and model-<area>.mjs.
import { readdirSync } from 'node:fs';

const areas = readdirSync(new URL('.', import.meta.url)).filter((name) => /^(cdk|pulumi|model)-.*\.mjs$/.test(name));
const ofEngines = await Promise.all(areas.sort().map(async (name) => (await import(`./${name}`)).MUTANTS));

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
    file: 'runtime/spec/kubernetes/pod-security.ts',
    find: '    readOnlyRootFilesystem: true,\n    runAsNonRoot: true,',
    replace: '    readOnlyRootFilesystem: true,\n    runAsNonRoot: false as true,',
    test: { file: 'test/spec/kubernetes.test.ts', name: 'satisfies Pod Security restricted' },
  },
  {
    name: 'the identity’s endpoint is not reachable',
    file: 'runtime/spec/kubernetes/network-policy.ts',
    find: '({ port }) => port !== HTTPS',
    replace: '({ port }) => port === HTTPS',
    test: { file: 'test/spec/kubernetes.test.ts', name: 'lets out names, HTTPS and what the identity needs' },
  },
  {
    name: 'no clients opens the service to everybody',
    file: 'runtime/spec/kubernetes/network-policy.ts',
    find: 'from.length === 0',
    replace: 'from.length < 0',
    test: { file: 'test/spec/kubernetes.test.ts', name: 'lets nobody in where no namespace may call' },
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
    test: { file: 'test/spec/environment.test.ts', name: 'the server refuses' },
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
    find: '[LABELS.models]: refs === undefined ? plan.modelsRevision : deployedRevision(plan, refs.models, refs),',
    replace: '[LABELS.models]: plan.name,',
    test: { file: 'test/spec/kubernetes.test.ts', name: 'changes with the models it serves' },
  },

  // The server
  {
    name: 'a replica is ready before its golden proof',
    file: 'runtime/server/prove-model.ts',
    find: '  if (golden !== undefined) await proveGolden(executor, golden, goldenInputs!, model.folder);\n',
    replace: '',
    test: { file: 'test/server/models.test.ts', name: 'a model that does not repeat its golden output is not served' },
  },
  {
    name: 'a changed model file is served',
    file: 'runtime/server/download-file.ts',
    find: 'if (file.sha256 === undefined || got === file.sha256) return;',
    replace: 'return;',
    test: {
      file: 'test/server/models.test.ts',
      name: 'a model file that was changed after it was published is not loaded',
    },
  },
  {
    name: 'clients get the rows of others',
    file: 'runtime/server/batcher.ts',
    find: 'outputs.map((output) => sliceRows(output, from, to))',
    replace: 'outputs.map((output) => sliceRows(output, 0, to - from))',
    test: { file: 'test/server/inference.test.ts', name: 'gives every client exactly its own rows' },
  },
  {
    name: 'the queue has no bound',
    file: 'runtime/server/admission.ts',
    find: 'const isFull = waiting > 0 && waiting + rows > policy.queueDepthRows;',
    replace: 'const isFull = waiting < 0;',
    test: { file: 'test/server/overload.test.ts', name: 'a full queue answers 429 with Retry-After at once' },
  },
  {
    name: 'bodies in flight may take all memory',
    file: 'runtime/server/body-memory.ts',
    find: 'this.held + bytes > this.limit',
    replace: 'this.held + bytes > Infinity',
    test: { file: 'test/server/overload.test.ts', name: 'bodies in flight that hold all the memory' },
  },
  {
    name: 'a full queue is the server’s fault',
    file: 'runtime/server/errors.ts',
    find: 'QUEUE_FULL: { status: 429,',
    replace: 'QUEUE_FULL: { status: 503,',
    test: { file: 'test/server/overload.test.ts', name: 'a full queue answers 429 with Retry-After at once' },
  },
  {
    name: 'a passed deadline is not answered',
    file: 'runtime/server/inference.ts',
    find: 'at: startedAt + seconds * 1_000,',
    replace: 'at: startedAt + seconds * 1_000_000,',
    test: { file: 'test/server/overload.test.ts', name: 'a deadline that passes in the queue gets 504' },
  },
  {
    name: 'a key lets its holder in everywhere',
    file: 'runtime/server/auth/authenticator.ts',
    find: 'if (mayCall(principal, group)) return principal;',
    replace: 'return principal;',
    test: { file: 'test/server/auth.test.ts', name: 'a key lets its holder into its groups and into no other' },
  },
  {
    name: 'any key is as good as another',
    file: 'runtime/server/auth/api-keys.ts',
    find: 'if (timingSafeEqual(known.digest, digest)) found',
    replace: 'if (known.digest.length === digest.length) found',
    test: { file: 'test/server/auth.test.ts', name: 'a key lets its holder into its groups and into no other' },
  },
  {
    name: 'a token for somebody else is taken',
    file: 'runtime/server/auth/bearer-tokens.ts',
    find: '        audience: audience!,\n',
    replace: '',
    test: { file: 'test/server/jwt.test.ts', name: 'a token that is not meant for this server' },
  },
  {
    name: 'clients see the rows of padding',
    file: 'runtime/server/batch-policy.ts',
    find: 'export function paddedRows(',
    replace: 'export const paddedRows = (_: unknown, rows: number): number => rows;\nexport function neverPadded(',
    test: { file: 'test/server/batch-policy.test.ts', name: 'a served model runs nothing but its allowed sizes' },
  },
  {
    name: 'a few compressed bytes become as many as they like',
    file: 'runtime/server/content-encoding.ts',
    find: 'if (length > maxBytes) {',
    replace: 'if (false) {',
    test: { file: 'test/server/content-encoding.test.ts', name: 'few bytes that stand for very many are refused' },
  },
  {
    name: 'the drain does not wait for the load balancer',
    file: 'runtime/server/server.ts',
    find: '    await wait(lagSeconds * 1_000);\n',
    replace: '',
    test: { file: 'test/server/lifecycle.test.ts', name: 'serves on for the deregistration lag' },
  },
  {
    name: 'a draining replica still says that it is ready',
    file: 'runtime/server/health.ts',
    find: "    if (isDraining()) return exchange.sendJson(503, { ready: false, reason: 'draining' });\n",
    replace: '',
    test: { file: 'test/server/lifecycle.test.ts', name: 'after SIGTERM: not ready at once' },
  },
  {
    name: 'a stuck run is called live',
    file: 'runtime/server/health.ts',
    find: 'return seconds > runStuckSeconds',
    replace: 'return seconds > Infinity && seconds > runStuckSeconds',
    test: { file: 'test/server/lifecycle.test.ts', name: 'a run that takes too long makes the replica not live' },
  },
  {
    name: 'saturation takes the fullest model instead of their sum',
    file: 'runtime/server/saturation.ts',
    find: 'models.reduce((sum, model) => sum + (rows(model) * model.secondsPerRow) / model.executors, 0);',
    replace: 'Math.max(0, ...models.map((model) => (rows(model) * model.secondsPerRow) / model.executors));',
    test: { file: 'test/server/saturation.test.ts', name: 'two models that use half of a resource each fill it' },
  },

  // Pulumi
  {
    name: 'a public policy may open the model bucket',
    file: 'pulumi/aws/create-bucket.ts',
    find: 'blockPublicPolicy: true,',
    replace: 'blockPublicPolicy: false,',
    build: 'libraries',
    test: { file: 'test/pulumi/aws-gpu-service.test.ts', name: 'is closed to the public, whoever asks' },
  },
  {
    name: 'pods may read every model of the bucket',
    file: 'pulumi/aws/workload-identity.ts',
    find: '`${bucket.arn}/${modelPrefix(name)}*`',
    replace: '`${bucket.arn}/${modelPrefix(name).slice(0, 0)}*`',
    build: 'libraries',
    test: { file: 'test/parity/parity.test.ts', name: 'permissions' },
  },
  {
    name: 'the GPU pool has no taint',
    file: 'pulumi/aws/gpu-instance-group.ts',
    find: "taints: [{ key: GPU_TAINT.key, value: GPU_TAINT.value, effect: 'NO_SCHEDULE' }],",
    replace: 'taints: [],',
    build: 'libraries',
    test: {
      file: 'test/pulumi/aws-gpu-service.test.ts',
      name: 'is tainted, and its own placement tolerates the taint',
    },
  },
  {
    name: 'Pulumi gives up before a machine can come',
    file: 'pulumi/replica-timeouts.ts',
    find: 'const awaited = `${awaitTimeoutSeconds}s`;',
    replace: 'const awaited = `${awaitTimeoutSeconds - awaitTimeoutSeconds + PROVIDER_TIMEOUT_SECONDS}s`;',
    build: 'libraries',
    test: {
      file: 'test/pulumi/aws-gpu-service.test.ts',
      name: 'is waited for as long as a machine and a start may take',
    },
  },

  // The demonstration
  {
    name: 'the quickstart deletes folders that are not its own',
    file: 'runtime/cli/quickstart/prepare-directory.ts',
    find: 'if (foreign !== undefined && !existsSync(path.join(directory, REQUEST_FILE))) {',
    replace: 'if (foreign === "") {',
    test: { file: 'test/quickstart/prepare-directory.test.ts', name: 'that no quickstart made is not deleted' },
  },

  // Publishing
  {
    name: 'external data may be read from outside the model’s folder',
    file: 'runtime/onnx/external-data.ts',
    find: 'if (!isRelativePath(path)) {',
    replace: 'if (false) {',
    test: { file: 'test/onnx/external-data.test.ts', name: '../weights.bin' },
  },

  // Models that come and go
  {
    name: 'registry: a label moves to a version that is not loaded',
    file: 'runtime/server/repository/version-labels.ts',
    find: 'if (isLoaded(version)) this.versions.set(label, version);',
    replace: 'this.versions.set(label, version); if (isLoaded(version)) pending.delete(label);',
    test: { file: 'test/server/labels.test.ts', name: 'stays where it is while the version' },
  },
  {
    name: 'registry: weights are left to chance',
    file: 'runtime/server/repository/version-labels.ts',
    find: 'this.position = (this.position + GOLDEN_STEP) % 1;',
    replace: 'this.position = Math.random() + 0 * GOLDEN_STEP;',
    test: { file: 'test/server/labels.test.ts', name: 'share requests out as they say' },
  },
  {
    name: 'registry: a version is closed under its requests',
    file: 'runtime/server/repository/registered-model.ts',
    find: 'if (this.leases > 0)',
    replace: 'if (this.leases < 0)',
    test: { file: 'test/server/hot-reload.test.ts', name: 'a request that is running on the old version' },
  },
  {
    name: 'registry: an empty repository unloads everything',
    file: 'runtime/server/repository/model-lifecycle.ts',
    find: 'if (found.length + unreadable.size === 0) {',
    replace: 'if (found.length < 0) {',
    test: { file: 'test/server/hot-reload.test.ts', name: 'is empty all at once' },
  },
  {
    name: 'registry: an older version takes the place of one that was asked for',
    file: 'runtime/server/repository/scan-repository.ts',
    find: "if (policy.kind !== 'latest') return NO_FALLBACK;",
    replace: '',
    test: { file: 'test/server/hot-reload.test.ts', name: 'asks for it, nothing takes its place' },
  },
  {
    name: 'registry: a model falls back without hot reload',
    file: 'runtime/server/repository/model-lifecycle.ts',
    find: 'if (!this.options.settings.hotReload) return;\n    for',
    replace: 'for',
    test: { file: 'test/server/hot-reload.test.ts', name: 'without hot reload nothing takes its place' },
  },
  {
    name: 'the author of a model turns hooks on in a deployment',
    file: 'runtime/server/hooks/model-hooks.ts',
    find: 'if (isPublished && configuration?.hooks !== undefined && !settings.hooks) {',
    replace: 'if (settings.hooks && !settings.hooks) {',
    test: {
      file: 'test/server/published-configuration.test.ts',
      name: 'needs SLIPWAY_HOOKS, or the model is not ready',
    },
  },
  {
    name: 'registry: a swap takes memory that is not there',
    file: 'runtime/server/repository/version-loader.ts',
    find: 'if (needed <= free) return undefined;',
    replace: 'if (needed <= Infinity) return undefined;',
    test: { file: 'test/server/swap.test.ts', name: 'the new one is refused with the numbers' },
  },
  {
    name: 'registry: anybody unloads what a deployment names',
    file: 'runtime/server/repository/model-lifecycle.ts',
    find: 'if (models === undefined && modelRepository !== undefined) return modelRepository;',
    replace: "if (models !== '') return modelRepository ?? '';",
    test: { file: 'test/server/admin.test.ts', name: 'in a deployment models are neither loaded nor unloaded' },
  },

  ...ofEngines.flat(),
];
