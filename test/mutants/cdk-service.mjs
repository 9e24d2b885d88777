const INFERENCE = 'test/cdk/inference-service.test.ts';
const SMOKE = 'test/cdk/smoke-test.test.ts';
const ROLLOUT = 'test/cdk/rollout.test.ts';
const SCRATCH = 'the root file system is read-only, and only /tmp and the model cache can be written';
const NO_ROOT = 'the server is no root user, has no capability and no shell from outside';

export const MUTANTS = [
  {
    name: 'the load balancer lets everybody in',
    file: 'cdk/own-endpoint.ts',
    find: '    open: exposure.isPublic,\n',
    replace: '    open: true,\n',
    test: { file: INFERENCE, name: 'nobody may call the load balancer, and it is not on the internet' },
  },
  {
    name: 'the load balancer is on the internet',
    file: 'cdk/own-endpoint.ts',
    find: '    internetFacing: exposure.isPublic,\n',
    replace: '    internetFacing: true,\n',
    test: { file: 'test/cdk/exposure.test.ts', name: 'a service is internal, unless its author says otherwise' },
  },
  {
    name: 'the test listener lets everybody in',
    file: 'cdk/own-endpoint.ts',
    find: '    open: false,\n',
    replace: '    open: true,\n',
    test: { file: SMOKE, name: 'asks a test listener that lets in nobody else' },
  },
  {
    name: 'one address may send as much as it likes',
    file: 'cdk/waf.ts',
    find: "        name: 'RequestsOfOneAddress',\n        action: { block: {} },",
    replace: "        name: 'RequestsOfOneAddress',\n        action: { count: {} },",
    test: {
      file: 'test/cdk/exposure.test.ts',
      name: 'a web ACL of its own bounds what one address sends, and only counts what it sees in tensors',
    },
  },
  {
    name: 'addresses that are not on the list come through',
    file: 'cdk/waf.ts',
    find: '{ allow: {} } : { block: {} }',
    replace: '{ allow: {} } : { allow: {} }',
    test: { file: 'test/cdk/exposure.test.ts', name: 'with a list of addresses nobody else comes through' },
  },
  {
    name: 'gRPC goes past the check of tokens',
    file: 'cdk/listener-rules.ts',
    find: '    action: forwardTo(groups, auth),',
    replace: '    action: forwardTo(groups),',
    test: { file: 'test/cdk/auth.test.ts', name: 'no rule lets a request past the check' },
  },
  {
    name: 'claims are not asked for by rules',
    file: 'cdk/listener-rules.ts',
    find: "  auth?.complete(rule.node.defaultChild as CfnResource, 'Actions');\n",
    replace: '',
    test: { file: 'test/cdk/auth.test.ts', name: 'no rule lets a request past the check' },
  },
  {
    name: 'a load balancer sends gRPC to replicas that are not ready',
    file: 'runtime/server/grpc/health-methods.ts',
    find: '    if (this.isReady()) return [new ProtobufWriter().finish()];',
    replace: '    if (this.isReady() || true) return [new ProtobufWriter().finish()];',
    test: {
      file: 'test/server/grpc-services.test.ts',
      name: 'is answered with a status that says whether this replica is ready, for it looks at no message',
    },
  },
  {
    name: 'a secret may stand in the template',
    file: 'cdk/container-environment.ts',
    find: '  assertNoSecrets(environment);\n',
    replace: '',
    test: {
      file: 'test/cdk/bring-your-own.test.ts',
      name: 'a variable that the service writes itself, that the server does not know, or that is a secret is refused',
    },
  },
  {
    name: 'two services take one place on a listener',
    file: 'cdk/listener-rules.ts',
    find: '    if (taken === undefined) continue;\n',
    replace: '    if (taken !== scope) continue;\n',
    test: {
      file: 'test/cdk/endpoint.test.ts',
      name: 'two rules of one priority on one listener are refused, gRPC counting twice',
    },
  },
  {
    name: 'a service is rolled back for the errors of its neighbours',
    file: 'cdk/shared-endpoint.ts',
    find: '    isShared: true,\n',
    replace: '    isShared: false,\n',
    test: {
      file: 'test/cdk/endpoint.test.ts',
      name: 'errors that a shared load balancer counts for all services are blamed on none',
    },
  },
  {
    name: 'gRPC stays with the old revision',
    file: 'cdk/traffic-shift.ts',
    find: '...(alternate === undefined ? {} :',
    replace: "...(alternate === undefined || kind === 'grpc' ? {} :",
    test: {
      file: ROLLOUT,
      name: 'canary: every kind of requests names the rule that is shifted and where to, by one role',
    },
  },
  {
    name: 'the new revision has traffic before its turn',
    file: 'cdk/listener-rules.ts',
    find: '{ targetGroup: alternate, weight: 0 }',
    replace: '{ targetGroup: alternate, weight: 50 }',
    test: { file: ROLLOUT, name: 'canary: every action of the listener forwards, to constants alone' },
  },
  {
    name: "another account's services may take the role that shifts traffic",
    file: 'cdk/traffic-shift.ts',
    find: ".withConditions({\n      StringEquals: { 'aws:SourceAccount': Stack.of(scope).account },\n    })",
    replace: '',
    test: { file: ROLLOUT, name: 'only ECS may take the role that shifts traffic, and only for this account' },
  },
  {
    name: 'alarms stop a rollout and leave the new revision there',
    file: 'cdk/ecs-service.ts',
    find: 'ecs.AlarmBehavior.ROLLBACK_ON_ALARM',
    replace: 'ecs.AlarmBehavior.FAIL_ON_ALARM',
    test: { file: ROLLOUT, name: 'alarms of errors and latency roll back, and none that waits for the service' },
  },
  {
    name: 'a bake is over before an alarm goes off',
    file: 'cdk/rollout.ts',
    find: '  if (alarmRollback && minutes < ALARM_MINUTES) {',
    replace: '  if (alarmRollback && minutes < 1) {',
    test: {
      file: ROLLOUT,
      name: 'a bake that ends before an alarm goes off is refused, unless no alarm is to roll back',
    },
  },
  {
    name: 'ECS may call any function',
    file: 'cdk/smoke-test.ts',
    find: 'resources: [this.function.functionArn]',
    replace: "resources: ['*']",
    test: {
      file: SMOKE,
      name: 'is a hook between test traffic and that of callers, which ECS may call and nothing else',
    },
  },
  {
    name: 'one right answer is enough for a smoke test',
    file: 'runtime/smoke-test/smoke-test.ts',
    find: 'failures.length === 0 ?',
    replace: 'failures.length < models.length ?',
    test: {
      file: 'test/smoke-test/smoke-test.test.ts',
      name: 'one wrong model of two fails the deployment, and both are asked',
    },
  },
  {
    name: 'a smoke test takes any manifest',
    file: 'runtime/smoke-test/smoke-test.ts',
    find: '  if (expected !== undefined && got !== expected) {',
    replace: '  if (expected === undefined && got !== expected) {',
    test: {
      file: 'test/smoke-test/smoke-test.test.ts',
      name: 'a manifest or a golden file that is not the one deployed fails',
    },
  },
  {
    name: 'the proxy gives up before the server does',
    file: 'cdk/service-connect.ts',
    find: '      perRequestTimeout: timeout,\n',
    replace: '',
    test: {
      file: 'test/cdk/service-connect.test.ts',
      name: 'answers HTTP and gRPC by its name, as long as a request may take',
    },
  },
  {
    name: 'a delete that does not end',
    file: 'cdk/ecs-service.ts',
    find: '  if (mustOutlive !== undefined) cfnService.node.addDependency(mustOutlive);\n',
    replace: '',
    test: {
      file: 'test/cdk/gpu-instance-group.test.ts',
      name: 'a service on the group is created after the association',
    },
  },
  {
    name: 'replicas start before they may pull their image',
    file: 'cdk/ecs-service.ts',
    find: 'cfnService.node.addDependency(...needs, taskDefinition.obtainExecutionRole(), internetConnectivityEstablished);',
    replace: 'cfnService.node.addDependency(...needs, internetConnectivityEstablished);',
    test: {
      file: INFERENCE,
      name: 'replicas start once they can pull the image, read the model and reach the network',
    },
  },
  {
    name: 'replicas may be entered with a shell',
    file: 'cdk/ecs-service.ts',
    find: '    enableExecuteCommand: false,\n',
    replace: '    enableExecuteCommand: true,\n',
    test: { file: INFERENCE, name: `on Fargate ${NO_ROOT}` },
  },
  {
    name: 'the root file system may be written',
    file: 'cdk/task-definition.ts',
    find: '    readonlyRootFilesystem: true,\n',
    replace: '',
    test: { file: INFERENCE, name: `on Fargate ${SCRATCH}` },
  },
  {
    name: 'the server keeps the capabilities of a container',
    file: 'cdk/task-definition.ts',
    find: '  linuxParameters.dropCapabilities(ecs.Capability.ALL);\n',
    replace: '',
    test: { file: INFERENCE, name: `on Fargate ${NO_ROOT}` },
  },
  {
    name: 'the server is whoever the image says',
    file: 'cdk/task-definition.ts',
    find: '    user: `${CONTAINER_USER}:${CONTAINER_USER}`,\n',
    replace: '',
    test: { file: INFERENCE, name: `on Fargate ${NO_ROOT}` },
  },
  {
    name: "another account's tasks may take the task role",
    file: 'cdk/ecs-task-rights.ts',
    find: "    ArnLike: { 'aws:SourceArn': tasks },\n",
    replace: '',
    test: { file: INFERENCE, name: 'on Fargate only ECS may take the task role, and only for tasks of this account' },
  },
  {
    name: 'models are fetched anew for every replica of a machine',
    file: 'cdk/task-definition.ts',
    find: '  const isCached = capacity.modelCachePath !== undefined;\n',
    replace: '  const isCached = false as boolean;\n',
    test: { file: INFERENCE, name: `on GPU machines ${SCRATCH}` },
  },
  {
    name: 'ECS is told another environment than Kubernetes',
    file: 'cdk/container-environment.ts',
    find: '    AWS_REGION: Stack.of(scope).region,',
    replace: "    AWS_REGION: Stack.of(scope).region,\n    SLIPWAY_LOG_LEVEL: 'debug',",
    test: { file: 'test/parity/parity.test.ts', name: 'the environment' },
  },
];
