import { DEFAULTS, lookUpInstance, planInferenceService, SpecError } from '../runtime/spec';
import type { EngineServiceSpec, InferenceServicePlan, InferenceServiceSpec, InstanceFacts } from '../runtime/spec';

/** A machine that SageMaker rents out: `ml.` and the name that EC2 has for it. */
export interface SageMakerMachine {
  /** `ml.g6.xlarge` */
  readonly instanceType: string;
  /** Its row of the catalogue, which knows machines with GPUs. @default - a machine without */
  readonly facts?: InstanceFacts;
}

/** The words of the spec that mean something on SageMaker: it has its own load balancer, and no rollout by replica. */
export type SageMakerSpec = Omit<
  InferenceServiceSpec,
  | 'name'
  | 'models'
  | 'capacity'
  | 'instanceTypes'
  | 'metricsFrom'
  | 'spareReplica'
  | 'provisioningSeconds'
  | 'deregistrationLagSeconds'
  | 'idleTimeoutSeconds'
>;

// Written out, so that a new word of the spec is not forgotten here.
const WORDS: Readonly<Record<keyof SageMakerSpec, true>> = {
  preset: true,
  executionProvider: true,
  gpuCount: true,
  vcpu: true,
  memoryMiB: true,
  minReplicas: true,
  maxReplicas: true,
  targetSaturation: true,
  startupBudgetSeconds: true,
  downloadMiBPerSecond: true,
  requestDeadlineSeconds: true,
  stopTimeoutSeconds: true,
  hooks: true,
  requireEvidence: true,
  modelSigningKeys: true,
  queueDepthRows: true,
  maxBodyMiB: true,
};

/** The spec's words among the properties of a construct. */
export function wordsOf(props: SageMakerSpec): SageMakerSpec {
  return Object.fromEntries(Object.entries(props).filter(([word, value]) => word in WORDS && value !== undefined));
}

/** https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html: SIGKILL follows SIGTERM after 30 s. */
const KILLED_AFTER_SECONDS = 30;
const FLUSH_SECONDS = 5;
/** An endpoint that answers at once gives a container this long; one that answers later an hour. */
const MAX_DEADLINE_SECONDS = { realTime: 60, async: 3_600 } as const;

/** The machines' image of driver 550: CUDA 12 asks for 525, and the usual image of older types has 470. */
export const GPU_MACHINE_IMAGE = 'al2-ami-sagemaker-inference-gpu-3-1';

/** EC2's types that SageMaker rents out to nobody. */
const NOT_RENTED: ReadonlySet<string> = new Set(['g4dn.metal']);

/**
 * @param spec Of a machine without a row, the sizes must be given: the plan cannot know them.
 * @throws SpecError SAGEMAKER_INSTANCE when the type is not one of SageMaker's, or its size is not known.
 */
export function lookUpMachine(instanceType: string, spec: SageMakerSpec): SageMakerMachine {
  const [, ec2Type] = /^ml\.([a-z0-9-]+\.[a-z0-9-]+)$/.exec(instanceType) ?? [];
  if (ec2Type === undefined) {
    throw new SpecError(
      'SAGEMAKER_INSTANCE',
      'instanceType',
      `SageMaker's types begin with 'ml.', got '${instanceType}'; write 'ml.g6.xlarge' for EC2's g6.xlarge`,
    );
  }
  if (NOT_RENTED.has(ec2Type)) {
    throw new SpecError('SAGEMAKER_INSTANCE', 'instanceType', `SageMaker has no '${instanceType}'; take another size`);
  }
  try {
    return { instanceType, facts: lookUpInstance(ec2Type, 'instanceType', 'aws') };
  } catch (error) {
    if (spec.executionProvider === 'cpu' && spec.vcpu !== undefined && spec.memoryMiB !== undefined) {
      return { instanceType };
    }
    throw new SpecError(
      'SAGEMAKER_INSTANCE',
      'instanceType',
      `'${instanceType}' is no GPU machine of the catalogue (${(error as Error).message}); for one without a GPU say executionProvider 'cpu' and what a container gets of it in vcpu and memoryMiB`,
    );
  }
}

export interface SageMakerPlanInput {
  readonly name: string;
  readonly spec: SageMakerSpec;
  readonly machine: SageMakerMachine;
  readonly model: InferenceServiceSpec['models'][number];
  /** A container has a machine for itself, or shares it with others. */
  readonly sharesMachine: boolean;
  readonly answers: keyof typeof MAX_DEADLINE_SECONDS;
  readonly wakeSource?: 'queue';
}

/**
 * What a container on SageMaker gets and promises. Traffic is taken off a machine before it is stopped, so nothing is left
 * for a lag, and a request ends before the container is killed.
 */
export function planOnSageMaker(input: SageMakerPlanInput): InferenceServicePlan {
  const { name, spec, machine, model, sharesMachine, answers, wakeSource } = input;
  const deadline = spec.requestDeadlineSeconds ?? Math.min(DEFAULTS.requestDeadlineSeconds, endsBeforeKill());
  if (deadline > MAX_DEADLINE_SECONDS[answers]) {
    throw new SpecError(
      'NUMBER_INVALID',
      'requestDeadlineSeconds',
      `SageMaker waits at most ${MAX_DEADLINE_SECONDS[answers]} s for an answer here, got ${deadline}`,
    );
  }
  const onGpu = machine.facts !== undefined && spec.executionProvider !== 'cpu';
  const engineSpec: EngineServiceSpec = {
    ...spec,
    name,
    models: [model],
    capacity: 'instances',
    requestDeadlineSeconds: deadline,
    deregistrationLagSeconds: 0,
    ...(machine.facts === undefined ? {} : { instanceTypes: [machine.instanceType.slice('ml.'.length)] }),
    ...(onGpu && !sharesMachine ? { gpuCount: spec.gpuCount ?? machine.facts.gpuCount } : {}),
    ...(wakeSource === undefined ? {} : { wakeSource }),
  };
  return planInferenceService(engineSpec);
}

/** Seconds that a request may take and still be answered by a container that was told to stop. */
export function endsBeforeKill(): number {
  return KILLED_AFTER_SECONDS - FLUSH_SECONDS;
}
