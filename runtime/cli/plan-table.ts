import { DEFAULTS, FLUSH_SECONDS, SIZING } from '../spec/defaults';
import type { InferenceServicePlan } from '../spec/inference-service-plan';
import type { InferenceServiceSpec } from '../spec/inference-service-spec';
import type { ProbePlan } from '../spec/lifecycle';
import { isBatchable } from '../spec/model-facts';
import type { PriceOverrides } from '../spec/prices';
import { costRows } from './cost-rows';
import { formatBytes } from '../model/quantities';
import { formatTable } from './text-table';

/** What is decided, its value, and where the value comes from. */
type Row = readonly [what: string, value: string, from: string];

/**
 * A plan as a table that a person can read; every number says where it comes from.
 * @param prices What is paid instead of the list's prices.
 */
export function renderPlan(
  spec: InferenceServiceSpec,
  plan: InferenceServicePlan,
  width: number,
  prices: PriceOverrides = {},
): string {
  const sections: readonly [title: string, rows: readonly Row[]][] = [
    ['Replica', replicaRows(spec, plan)],
    ['Start', startRows(spec, plan)],
    ['Requests', requestRows(spec, plan)],
    ['Stop', stopRows(spec, plan)],
    ['Scaling', scalingRows(spec, plan)],
    ['Cost', costRows(plan, prices)],
  ];
  const head: Row = [`Plan of ${plan.name}`, 'value', 'from'];
  return formatTable([head, ...sections.flatMap(([title, rows]) => [[title], ...rows.map(indent)])], width);
}

function indent([what, value, from]: Row): Row {
  return [`  ${what}`, value, from];
}

function replicaRows(spec: InferenceServiceSpec, plan: InferenceServicePlan): Row[] {
  const { resources } = plan;
  const rows: Row[] = plan.models.map((model) => [
    'model',
    `${model.name}, version ${model.version}`,
    model.facts === undefined
      ? 'nothing is known about the file'
      : `weights ${formatBytes(model.facts.weightBytes)}, files ${formatBytes(model.facts.fileBytes)}`,
  ]);
  rows.push([
    'execution provider',
    plan.executionProvider,
    given(spec.executionProvider, onGpu(plan) ? 'instance types are named' : 'no instance types named'),
  ]);
  if (resources.instanceTypes.length > 0) {
    rows.push([
      'instance',
      resources.instanceTypes.join(', '),
      given(spec.instanceTypes, 'first of the catalogue that fits'),
    ]);
    rows.push(['GPUs', String(resources.gpuCount), given(spec.gpuCount, 'default')]);
  } else {
    rows.push([
      'instance',
      resources.capacity === 'fargate' ? 'Fargate, or any node' : 'any node',
      given(spec.capacity, 'no GPU needed'),
    ]);
  }
  const share = sizeSource(plan);
  rows.push(['vCPU', String(resources.vcpu), given(spec.vcpu, resources.instanceTypes.length > 0 ? share : 'default')]);
  rows.push(['memory', `${resources.memoryMiB} MiB`, given(spec.memoryMiB, share)]);
  if (resources.neededMemoryMiB !== undefined) {
    const weights = onGpu(plan) ? 'weights' : `${SIZING.sessionBytesPerWeightByte} × weights`;
    rows.push([
      '  of it needed',
      `${resources.neededMemoryMiB} MiB`,
      `${SIZING.serverMiB} server + (${weights} + tensors queued) × ${1 + SIZING.headroom}`,
    ]);
  }
  if (resources.neededGpuMemoryMiB !== undefined) {
    rows.push([
      'GPU memory needed',
      `${resources.neededGpuMemoryMiB} MiB`,
      `${SIZING.cudaContextMiB} context + (${SIZING.sessionBytesPerWeightByte} × weights + tensors queued) × ${1 + SIZING.headroom}`,
    ]);
  }
  rows.push(['scratch space', `${resources.ephemeralStorageMiB} MiB`, '1024 + 2 × files, in steps of 256']);
  rows.push(['threads per session', String(resources.intraOpThreads), `vCPU ÷ ${resources.executors} executor`]);
  return rows;
}

function sizeSource({ resources }: InferenceServicePlan): string {
  if (resources.instanceTypes.length > 0) return 'share of the smallest instance';
  return resources.capacity === 'fargate' ? 'smallest Fargate size that holds the need' : 'the need, in steps of 256';
}

function startRows(spec: InferenceServiceSpec, plan: InferenceServicePlan): Row[] {
  const { lifecycle, resources, models } = plan;
  const start = SIZING.startSeconds + (resources.gpuCount > 0 ? SIZING.cudaStartSeconds : 0);
  const bytes = formatBytes(models.reduce((sum, { facts }) => sum + (facts?.fileBytes ?? 0), 0));
  const bandwidth = spec.downloadMiBPerSecond ?? DEFAULTS.downloadMiBPerSecond;
  const check = lifecycle.loadBalancerCheck;
  return [
    [
      'startup budget',
      seconds(lifecycle.startupBudgetSeconds),
      given(
        spec.startupBudgetSeconds,
        `${SIZING.startupSafetyFactor} × (${start} s start + ${bytes} fetched at ${bandwidth} MiB/s, opened at ${SIZING.openMiBPerSecond} MiB/s), at least ${SIZING.minStartupBudgetSeconds} s`,
      ),
    ],
    ['startup probe', probe(lifecycle.startupProbe), 'periods that cover the budget'],
    ['readiness probe', probe(lifecycle.readinessProbe), 'fixed'],
    ['liveness probe', probe(lifecycle.livenessProbe), 'fixed'],
    [
      'container check (ECS)',
      `from ${seconds(lifecycle.containerCheckStartPeriodSeconds)}`,
      'budget, at most the 300 s that ECS allows',
    ],
    [
      'load balancer check',
      `${check.path}, every ${seconds(check.intervalSeconds)}`,
      `healthy after ${check.healthyThreshold}, unhealthy after ${check.unhealthyThreshold}`,
    ],
    [
      '  grace period',
      seconds(check.gracePeriodSeconds),
      `budget + ${check.healthyThreshold} × ${check.intervalSeconds} s of checks`,
    ],
    [
      'provisioning',
      seconds(lifecycle.provisioningSeconds),
      given(
        spec.provisioningSeconds,
        `default ${resources.gpuCount > 0 ? 'with' : 'without'} a GPU: a machine for a new replica`,
      ),
    ],
    ['progress deadline', seconds(lifecycle.progressDeadlineSeconds), 'budget + provisioning'],
    [
      'await timeout',
      seconds(lifecycle.awaitTimeoutSeconds),
      lifecycle.awaitTimeoutSeconds === 2 * lifecycle.progressDeadlineSeconds
        ? '2 × progress deadline'
        : `provisioning + ${plan.scaling.maxReplicas} × budget`,
    ],
  ];
}

function requestRows(spec: InferenceServiceSpec, plan: InferenceServicePlan): Row[] {
  const { lifecycle } = plan;
  return [
    ...plan.models.map((model): Row => {
      const batchable = model.facts === undefined || isBatchable(model.facts);
      const author = spec.models.find(({ name }) => name === model.name)?.maxBatchSize;
      const reason = batchable ? 'default: dimension 0 is free' : 'dimension 0 is fixed';
      return [
        plan.models.length === 1 ? 'batch' : `batch of ${model.name}`,
        `up to ${rows(model.maxBatchSize)}`,
        given(author, reason),
      ];
    }),
    ...(spec.hooks === undefined
      ? []
      : [['hooks', plan.hooks ? 'run' : 'not run', given(spec.hooks, '')] satisfies Row]),
    ...(plan.requireEvidence ? [['evidence', 'required', given(spec.requireEvidence, '')] satisfies Row] : []),
    ...(plan.modelSigningKeys === undefined ? [] : [['signatures', 'required', 'given'] satisfies Row]),
    [
      'queue',
      rows(plan.queueDepthRows),
      given(spec.queueDepthRows, `${DEFAULTS.queuedBatches} batches; more is answered 429`),
    ],
    ['largest body', `${plan.maxBodyMiB} MiB`, given(spec.maxBodyMiB, 'default; more is answered 413')],
    [
      'bodies in flight',
      `${plan.bodyMemoryMiB} MiB`,
      'a quarter of the memory that models leave; more is answered 429',
    ],
    [
      'request deadline',
      seconds(lifecycle.requestDeadlineSeconds),
      given(spec.requestDeadlineSeconds, 'default; past it the answer is 504'),
    ],
    [
      'idle timeout',
      seconds(lifecycle.idleTimeoutSeconds),
      given(spec.idleTimeoutSeconds, `${DEFAULTS.idleTimeoutSeconds}, or request deadline + 5 where that is more`),
    ],
    ['keep-alive', seconds(lifecycle.keepAliveSeconds), 'idle timeout + 5: the load balancer closes first'],
    ['stuck run', seconds(lifecycle.runStuckSeconds), '2 × request deadline, at least 60; then not live'],
  ];
}

function stopRows(spec: InferenceServiceSpec, { lifecycle }: InferenceServicePlan): Row[] {
  return [
    [
      'deregistration lag',
      seconds(lifecycle.deregistrationLagSeconds),
      given(spec.deregistrationLagSeconds, 'default: still accepting after SIGTERM'),
    ],
    ['drain', seconds(lifecycle.drainSeconds), `lag + request deadline + ${FLUSH_SECONDS} to flush`],
    [
      'stop timeout',
      seconds(lifecycle.stopTimeoutSeconds),
      given(spec.stopTimeoutSeconds, 'drain: SIGTERM to SIGKILL'),
    ],
    ['deregistration delay', seconds(lifecycle.deregistrationDelaySeconds), 'lag + request deadline'],
  ];
}

function scalingRows(spec: InferenceServiceSpec, { scaling, rollout, preset }: InferenceServicePlan): Row[] {
  return [
    ['min replicas', String(scaling.minReplicas), given(spec.minReplicas, `preset ${preset}`)],
    [
      'max replicas',
      String(scaling.maxReplicas),
      given(spec.maxReplicas, `${DEFAULTS.maxReplicasPerMinReplica} × min replicas`),
    ],
    [
      'target saturation',
      String(scaling.targetSaturation),
      given(spec.targetSaturation, 'default; 1 is a full replica'),
    ],
    [
      'scaling signal',
      scaling.metric,
      scaling.metricsFrom === undefined
        ? 'CloudWatch on ECS; on Kubernetes name metricsFrom'
        : `CloudWatch on ECS; on Kubernetes ${scaling.metricsFrom}`,
    ],
    [
      'rollout',
      `${rollout.minHealthyPercent} to ${rollout.maxHealthyPercent} %`,
      given(spec.spareReplica, 'default: a new replica first'),
    ],
  ];
}

function given(value: unknown, otherwise: string): string {
  return value === undefined ? otherwise : 'given';
}

function onGpu(plan: InferenceServicePlan): boolean {
  return plan.resources.gpuCount > 0;
}

function probe({ path, periodSeconds, failureThreshold }: ProbePlan): string {
  return `${path}, ${failureThreshold} × ${periodSeconds} s`;
}

function seconds(value: number): string {
  return `${value} s`;
}

function rows(value: number): string {
  return value === 1 ? '1 row' : `${value} rows`;
}
