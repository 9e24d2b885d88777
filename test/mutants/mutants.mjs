// Each entry breaks one promise: `file` with its only `find` replaced by `replace`, and the test that must turn red.
// `build: 'libraries'` has the libraries compiled again first, which programs load; the server is bundled by its tests.
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
    find: 'return { [LABELS.models]: plan.modelsRevision,',
    replace: 'return { [LABELS.models]: plan.name,',
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
    file: 'runtime/server/fetch-model.ts',
    find: 'if (file.sha256 !== undefined && got !== file.sha256) {',
    replace: 'if (false) {',
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
    find: 'requestDeadlineSeconds * 1_000,',
    replace: 'requestDeadlineSeconds * 1_000_000,',
    test: { file: 'test/server/overload.test.ts', name: 'a deadline that passes in the queue gets 504' },
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
    find: 'models.reduce((sum, model) => sum + rows(model) * model.secondsPerRow, 0) / executors;',
    replace: 'Math.max(0, ...models.map((model) => rows(model) * model.secondsPerRow)) / executors;',
    test: { file: 'test/server/saturation.test.ts', name: 'two models that use half of a resource each fill it' },
  },

  // The AWS CDK
  {
    name: 'the model bucket may be made public',
    file: 'cdk/model-bucket.ts',
    find: '      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,\n',
    replace: '      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ACLS_ONLY,\n',
    test: {
      file: 'test/cdk/model-bucket.test.ts',
      name: 'blocks every kind of public access even when the caller passes no props',
    },
  },
  {
    name: 'a reader of one model reads the bucket',
    file: 'cdk/grant-read-objects.ts',
    find: 'resourceArns: keys.map((key) => bucket.arnForObjects(key)),',
    replace: "resourceArns: keys.map(() => bucket.arnForObjects('*')),",
    test: {
      file: 'test/cdk/model-bucket.test.ts',
      name: "lets a reader get objects under one model's prefix, and do nothing else",
    },
  },
  {
    name: 'the load balancer lets everybody in',
    file: 'cdk/inference-service.ts',
    find: '      open: false,\n',
    replace: '      open: true,\n',
    test: {
      file: 'test/cdk/inference-service.test.ts',
      name: 'nobody may call the load balancer, and it is not on the internet',
    },
  },
  {
    name: 'a delete that does not end',
    file: 'cdk/inference-service.ts',
    find: '      cfnService.node.addDependency(capacity);\n',
    replace: '',
    test: {
      file: 'test/cdk/gpu-instance-group.test.ts',
      name: 'a service on the group is created after the association',
    },
  },
  {
    name: 'a rollout takes the rights of the running replicas away',
    file: 'cdk/model-rights.ts',
    find: '`ReadModels${digest}`',
    replace: '`ReadModels`',
    test: { file: 'test/cdk/model.test.ts', name: 'another model is another policy beside the same role' },
  },
  {
    name: 'replicas start before they may pull their image',
    file: 'cdk/inference-service.ts',
    find: '.node.addDependency(readModels, this.taskDefinition.obtainExecutionRole(), internetConnectivityEstablished);',
    replace: '.node.addDependency(readModels, internetConnectivityEstablished);',
    test: {
      file: 'test/cdk/inference-service.test.ts',
      name: 'replicas start once they can pull the image, read the model and reach the network',
    },
  },
  {
    name: 'an outage that leaves no data wakes nobody',
    file: 'cdk/service-alarms.ts',
    find: 'treatMissingData: cloudwatch.TreatMissingData.BREACHING,',
    replace: 'treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,',
    test: {
      file: 'test/cdk/service-alarms.test.ts',
      name: 'replicas that are not there are noticed, also when there is none to be counted',
    },
  },
  {
    name: 'machines speak the first metadata version',
    file: 'cdk/gpu-instance-group.ts',
    find: 'requireImdsv2: true,',
    replace: 'requireImdsv2: false,',
    test: { file: 'test/cdk/gpu-instance-group.test.ts', name: 'asks for the second version of the metadata service' },
  },
  {
    name: 'ECS is told another environment than Kubernetes',
    file: 'cdk/task-definition.ts',
    find: '      AWS_REGION: Stack.of(scope).region,',
    replace: "      AWS_REGION: Stack.of(scope).region,\n      SLIPWAY_LOG_LEVEL: 'debug',",
    test: { file: 'test/parity/parity.test.ts', name: 'the environment' },
  },

  // Pulumi
  {
    name: 'a public policy may open the model bucket',
    file: 'pulumi/aws/model-bucket.ts',
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
    file: 'pulumi/inference-service.ts',
    find: 'const customTimeouts = { create: awaited, update: awaited };',
    replace: 'const customTimeouts = {};\n    void awaited;',
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
    name: 'two publishers may write one version',
    file: 'runtime/model/s3-model-store.ts',
    find: "      IfNoneMatch: '*',\n",
    replace: '',
    test: {
      file: 'test/model/s3-model-store.test.ts',
      name: 'a version whose manifest somebody else put first is refused',
    },
  },
  {
    name: 'external data may be read from outside the model’s folder',
    file: 'runtime/onnx/external-data.ts',
    find: 'if (!isRelativePath(path)) {',
    replace: 'if (false) {',
    test: { file: 'test/onnx/external-data.test.ts', name: '../weights.bin' },
  },
];
