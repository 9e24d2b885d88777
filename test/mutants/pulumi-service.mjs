const DELIVERY = 'test/spec/kubernetes-delivery.test.ts';
const GPUS = 'test/spec/kubernetes-gpus.test.ts';
const WAKE = 'test/spec/kubernetes-wake.test.ts';
const MONITORING = 'test/spec/kubernetes-monitoring.test.ts';
const MODEL = 'test/pulumi/model.test.ts';

export const MUTANTS = [
  {
    name: 'a value that only an update knows decides what a preview shows',
    file: 'pulumi/refusal.ts',
    find: 'if (args !== undefined) assertPlain(args, LATE_ARGS[typeTokenOf(component)]!);',
    replace: '',
    test: { file: 'test/pulumi/wrong-programs.test.ts', name: 'list that only an update knows' },
  },
  {
    name: 'an older CLI refuses every service, for it knows no error hooks',
    file: 'pulumi/failure-hooks.ts',
    find: 'store?.supportsErrorHooks === true && ',
    replace: '',
    test: { file: 'test/pulumi/failures.test.ts', name: 'an older CLI fails as it always did' },
  },
  {
    name: 'a failed update says only what the provider says',
    file: 'pulumi/failure-hooks.ts',
    find: 'if (sentence !== undefined && !said.has(sentence)) {',
    replace: 'if (sentence === type) {',
    test: { file: 'test/pulumi/failures.test.ts', name: 'the component says what is missing and what mends it' },
  },
  {
    name: 'pods that fetch nothing may reach everything over HTTPS',
    file: 'runtime/spec/kubernetes/network-policy.ts',
    find: "plan.models.some(({ delivery }) => delivery === 'fetch')",
    replace: 'plan.models.length > 0',
    test: { file: DELIVERY, name: 'no identity, image' },
  },
  {
    name: 'a replica may write to the claim that holds its models',
    file: 'runtime/spec/kubernetes/model-mounts.ts',
    find: 'persistentVolumeClaim: { claimName: volume!.claimName, readOnly: true }',
    replace: 'persistentVolumeClaim: { claimName: volume!.claimName }',
    test: { file: DELIVERY, name: 'a claim is mounted read-only' },
  },
  {
    name: 'a replica may write to the models that are mounted',
    file: 'runtime/spec/kubernetes/model-mounts.ts',
    find: ', readOnly: true as const }];',
    replace: ' }];',
    test: { file: DELIVERY, name: 'an image that holds a model is a volume that nobody can write to' },
  },
  {
    name: 'models are mounted from an image that may be another tomorrow',
    file: 'runtime/spec/pinned-image.ts',
    find: '@sha256:[0-9a-f]{64}$',
    replace: '',
    test: { file: MODEL, name: 'the image registry.example.com/models:1, which may be another tomorrow' },
  },
  {
    name: 'a cluster is asked for what it does not have',
    file: 'runtime/spec/kubernetes/requirements.ts',
    find: '([, first]) => minor < first',
    replace: '([, first]) => minor < first - 20',
    test: { file: DELIVERY, name: 'that is too old for what the service uses is refused' },
  },
  {
    name: 'replicas may be more than the machines have GPUs for',
    file: 'runtime/spec/gpu-pool-size.ts',
    find: 'if (maxReplicas > room)',
    replace: 'if (maxReplicas > room + 1)',
    test: { file: GPUS, name: 'that cannot hold the replicas are refused' },
  },
  {
    name: 'a rollout that can never end is begun',
    file: 'runtime/spec/gpu-pool-size.ts',
    find: 'if (minReplicas >= room)',
    replace: 'if (minReplicas > room)',
    test: { file: GPUS, name: 'on which no rollout could ever end are refused' },
  },
  {
    name: 'a share of a GPU is taken for the whole of its memory',
    file: 'runtime/spec/machine-share.ts',
    find: 'Math.floor(instance.gpuMemoryMiB / sharesPerGpu(machines))',
    replace: 'instance.gpuMemoryMiB',
    test: { file: GPUS, name: 'that is too small for the models is refused by its share' },
  },
  {
    name: 'a claim is given a GPU that does not hold the models',
    file: 'runtime/spec/kubernetes/gpu-claim.ts',
    find: '{ selectors: [hasMemory(neededGpuMemoryMiB)] }',
    replace: '{}',
    test: { file: GPUS, name: 'gives every pod a claim of its own for a GPU that holds the models' },
  },
  {
    name: 'groups that no pod can land on both of are joined',
    file: 'runtime/spec/kubernetes/placement.ts',
    find: 'if (expected === got) continue;',
    replace: 'if (expected === got || field) continue;',
    test: { file: GPUS, name: 'that differ in nodeSelector are refused' },
  },
  {
    name: 'a service without replicas never counts as idle',
    file: 'runtime/spec/kubernetes/autoscaler.ts',
    find: "scaling.minReplicas === 0 ? ' or vector(0)' : ''",
    replace: "scaling.minReplicas < 0 ? ' or vector(0)' : ''",
    test: { file: WAKE, name: 'counts none as idle, and a service that always has one does not' },
  },
  {
    name: 'a scrape that broke takes the replicas of a busy service away',
    file: 'runtime/spec/kubernetes/autoscaler.ts',
    find: "scaling.minReplicas === 0 ? ' or vector(0)'",
    replace: "scaling.minReplicas >= 0 ? ' or vector(0)'",
    test: { file: WAKE, name: 'counts none as idle, and a service that always has one does not' },
  },
  {
    name: 'a caller of a sleeping service is not told when to come back',
    file: 'runtime/spec/kubernetes/wake.ts',
    find: "'Retry-After': String(startupBudgetSeconds)",
    replace: "'Retry-After': '0'",
    test: { file: WAKE, name: 'answers 503 at once while it starts, with the seconds of the plan' },
  },
  {
    name: 'alarms of one service count what another answers',
    file: 'runtime/spec/kubernetes/monitoring.ts',
    find: 'const selector = [`service="${name}",namespace="`, refs.namespace, \'"\'] as const;',
    replace: 'const selector = [`namespace="`, refs.namespace, \'"\'] as const;',
    test: { file: MONITORING, name: 'ask of this service alone, and count what a caller gets as 5xx' },
  },
  {
    name: 'a service whose autoscaler reads Prometheus is not scraped',
    file: 'runtime/spec/kubernetes/monitoring.ts',
    find: "kubernetesMetricsSource(plan.scaling) !== 'cpu'",
    replace: "kubernetesMetricsSource(plan.scaling) === 'cpu'",
    test: { file: MONITORING, name: 'where its autoscaler reads Prometheus, and nowhere else' },
  },
  {
    name: 'an update waits ten minutes for a service that sleeps',
    file: 'pulumi/inference-service.ts',
    find: 'plan.scaling.minReplicas === 0 ? withoutAwait',
    replace: 'plan.scaling.minReplicas < 0 ? withoutAwait',
    test: {
      file: 'test/pulumi/service-choices.test.ts',
      name: 'a service that may have no replica is not waited for by its Service',
    },
  },
];
