import { Annotations, Names } from 'aws-cdk-lib';
import type * as appscaling from 'aws-cdk-lib/aws-applicationautoscaling';
import { PredefinedMetric } from 'aws-cdk-lib/aws-applicationautoscaling';
import type * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as sagemaker from 'aws-cdk-lib/aws-sagemaker';
import type { Construct } from 'constructs';
import { SpecError, type InferenceServicePlan } from '../runtime/spec';
import { number } from '../runtime/spec/numbers';
import { kebabCase } from './kebab-case';
import type { Model } from './model';
import { RuntimeImage } from './runtime-image';
import { SageMakerAlarms } from './sagemaker-alarms';
import { answerLater, type AnswersLater, type SageMakerAsyncProps } from './sagemaker-async';
import {
  GPU_MACHINE_IMAGE,
  lookUpMachine,
  planOnSageMaker,
  wordsOf,
  type SageMakerMachine,
  type SageMakerSpec,
} from './sagemaker-machine';
import { endpointMetric, SageMakerEndpointBase, VARIANT, type ISageMakerEndpoint } from './sagemaker-metrics';
import { createModel, type SageMakerNetworkProps } from './sagemaker-model';
import { SageMakerRollout } from './sagemaker-rollout';
import {
  defaultConcurrency,
  scaleOnBacklog,
  scaleOnConcurrency,
  wakeFromZero,
  WITHOUT_CAPACITY,
} from './sagemaker-scaling';

/**
 * The words of the spec, flat, and what only SageMaker knows. A replica is a machine here: `minReplicas` and `maxReplicas`
 * count machines, and a replica has all GPUs of its own.
 */
export interface SageMakerEndpointProps extends SageMakerSpec, SageMakerNetworkProps {
  /** Name of the service in logs. @default - the construct's id in lower case, with dashes */
  readonly serviceName?: string;
  /**
   * What clients call the endpoint by; each account has a name once in a region.
   * @default - from the construct's path, so that two stacks do not meet
   */
  readonly endpointName?: string;
  /** From a ModelBucket: SageMaker takes what lies below one prefix. */
  readonly model: Model;
  /** @default - built from this package when the app is deployed */
  readonly image?: RuntimeImage;
  /** `ml.g6.xlarge`: EC2's name after `ml.`. */
  readonly instanceType: string;
  /**
   * Image of the machines, by SageMaker's name; it decides the NVIDIA driver.
   * @default - for GPUs `al2-ami-sagemaker-inference-gpu-3-1` (driver 550): the usual one is older than CUDA 12 asks for
   */
  readonly inferenceAmiVersion?: string;
  /**
   * Requests at once that a machine shall have; more machines are started above it.
   * @default - two batches' worth, times targetSaturation
   */
  readonly targetConcurrency?: number;
  /** @default - all at once, with the endpoint's alarms */
  readonly rollout?: SageMakerRollout;
  /** Requests and answers are files in S3, and requests wait in a queue: then minReplicas may be 0. @default - answers come at once */
  readonly asyncInference?: SageMakerAsyncProps;
  /** Encrypts the disks of machines without NVMe; NVMe is encrypted by the machine itself. @default - SageMaker's own key */
  readonly dataKey?: kms.IKey;
  /** Whether alarms are made; updates are taken back by them. @default - true in production, false in development */
  readonly alarms?: boolean;
  /** What every alarm does when it goes off. @default - nothing; the alarms can be seen */
  readonly alarmActions?: readonly cloudwatch.IAlarmAction[];
}

/**
 * A model behind an endpoint of SageMaker, on machines that it starts, with the image and the spec of every other
 * service: it answers at once, or later through S3.
 *
 * @example
 * const digits = new SageMakerEndpoint(this, 'Digits', {
 *   model: Model.fromBucket(models, 'digits', { manifest: 'digits.manifest.json' }),
 *   instanceType: 'ml.g6.xlarge',
 * });
 * digits.grantInvoke(checkout);
 */
export class SageMakerEndpoint extends SageMakerEndpointBase {
  /** An endpoint of another app. */
  static fromEndpointName(scope: Construct, id: string, endpointName: string): ISageMakerEndpoint {
    return new (class extends SageMakerEndpointBase {
      readonly endpointName = endpointName;
    })(scope, id);
  }

  /** Every decided value. */
  readonly plan: InferenceServicePlan;
  readonly endpointName: string;
  /** The parts. Exposed so that nothing is out of reach. */
  readonly role: iam.Role;
  readonly securityGroup?: ec2.SecurityGroup;
  readonly model: sagemaker.CfnModel;
  readonly config: sagemaker.CfnEndpointConfig;
  readonly endpoint: sagemaker.CfnEndpoint;
  readonly scaling: appscaling.ScalableTarget;
  /** undefined where no alarms were asked for. */
  readonly alarms?: SageMakerAlarms;

  constructor(scope: Construct, id: string, props: SageMakerEndpointProps) {
    super(scope, id);
    const machine = lookUpMachine(props.instanceType, props);
    this.plan = planOnSageMaker({
      name: props.serviceName ?? kebabCase(id),
      spec: wordsOf(props),
      machine,
      model: props.model.spec,
      sharesMachine: false,
      ...(props.asyncInference === undefined ? { answers: 'realTime' } : { answers: 'async', wakeSource: 'queue' }),
    });
    assertDataKey(props, machine);
    this.endpointName = props.endpointName ?? Names.uniqueResourceName(this, { maxLength: 63, separator: '-' });
    const { role, model, securityGroup } = createModel(this, {
      ...props,
      plan: this.plan,
      image: props.image ?? RuntimeImage.fromAsset(),
    });
    this.role = role;
    this.model = model;
    if (securityGroup !== undefined) this.securityGroup = securityGroup;
    sayWhenGpusIdle(this, this.plan);

    const later =
      props.asyncInference === undefined ? undefined : answerLater(this, role, this.plan, props.asyncInference);
    this.config = this.createConfig(props, machine, later);
    if (props.alarms ?? this.plan.preset === 'production') {
      this.alarms = new SageMakerAlarms(this, 'Alarms', {
        plan: this.plan,
        metric: (name, options) => endpointMetric(this.endpointName, name, options),
        actions: props.alarmActions ?? [],
      });
    }
    this.endpoint = this.createEndpoint(props.rollout ?? SageMakerRollout.allAtOnce());
    // SageMaker tries the right to write answers when the endpoint is made.
    if (later !== undefined) this.endpoint.node.addDependency(later.policy);
    this.scaling = this.scale(props);
  }

  private createConfig(
    props: SageMakerEndpointProps,
    { facts }: SageMakerMachine,
    later: AnswersLater | undefined,
  ): sagemaker.CfnEndpointConfig {
    const { scaling, lifecycle } = this.plan;
    const inferenceAmiVersion = props.inferenceAmiVersion ?? (facts === undefined ? undefined : GPU_MACHINE_IMAGE);
    // A start that SageMaker gives up on is a failed update; it waits for a minute at least and an hour at most.
    const startup = Math.min(3_600, Math.max(60, lifecycle.startupBudgetSeconds));
    return new sagemaker.CfnEndpointConfig(this, 'Config', {
      productionVariants: [
        {
          variantName: VARIANT,
          modelName: this.model.attrModelName,
          instanceType: props.instanceType,
          initialInstanceCount: Math.max(1, scaling.minReplicas),
          initialVariantWeight: 1,
          containerStartupHealthCheckTimeoutInSeconds: startup,
          modelDataDownloadTimeoutInSeconds: startup,
          // Inference times differ by orders of magnitude: whoever is busy gets no more.
          ...(later === undefined ? { routingConfig: { routingStrategy: 'LEAST_OUTSTANDING_REQUESTS' } } : {}),
          ...(inferenceAmiVersion === undefined ? {} : { inferenceAmiVersion }),
        },
      ],
      ...(later === undefined ? {} : { asyncInferenceConfig: later.config }),
      ...(props.dataKey === undefined ? {} : { kmsKeyId: props.dataKey.keyId }),
    });
  }

  private createEndpoint(rollout: SageMakerRollout): sagemaker.CfnEndpoint {
    return new sagemaker.CfnEndpoint(this, 'Endpoint', {
      endpointName: this.endpointName,
      endpointConfigName: this.config.attrEndpointConfigName,
      deploymentConfig: rollout.deploymentConfig({
        alarms: this.alarms?.all ?? [],
        startSeconds: this.plan.lifecycle.progressDeadlineSeconds,
      }),
      // The autoscaler owns the number of machines; an update that states it would stop some under load.
      retainAllVariantProperties: true,
    });
  }

  private scale(props: SageMakerEndpointProps): appscaling.ScalableTarget {
    const { plan } = this;
    const scaled = {
      plan,
      resourceId: `endpoint/${this.endpoint.attrEndpointName}/variant/${VARIANT}`,
      dimension: 'sagemaker:variant:DesiredInstanceCount',
    } as const;
    const target = number('targetConcurrency', props.targetConcurrency, defaultConcurrency(plan), 0.1, 100_000);
    if (props.asyncInference === undefined) {
      const metric = PredefinedMetric.SAGEMAKER_VARIANT_CONCURRENT_REQUESTS_PER_MODEL_HIGH_RESOLUTION;
      return scaleOnConcurrency(this, scaled, { metric, target });
    }
    const scalable = scaleOnBacklog(this, scaled, this.endpointName, target);
    if (plan.scaling.minReplicas === 0) {
      const waiting = endpointMetric(this.endpointName, WITHOUT_CAPACITY.endpoint, {
        statistic: 'Maximum',
      }).with({ dimensionsMap: { EndpointName: this.endpointName } });
      wakeFromZero(this, scalable, plan, waiting);
    }
    return scalable;
  }
}

function assertDataKey({ dataKey, instanceType }: SageMakerEndpointProps, { facts }: SageMakerMachine): void {
  if (dataKey === undefined || (facts?.localNvmeGB ?? 0) === 0) return;
  throw new SpecError(
    'SAGEMAKER_INSTANCE',
    'dataKey',
    `${instanceType} has NVMe of its own, which it encrypts by itself, and SageMaker takes no key for it; leave dataKey out`,
  );
}

// One session uses one GPU: the others of a machine would be paid for and do nothing.
function sayWhenGpusIdle(scope: Construct, { resources, name }: InferenceServicePlan): void {
  if (resources.gpuCount <= 1) return;
  Annotations.of(scope).addWarningV2(
    'slipway:gpus-idle',
    `${name} runs on one of the ${resources.gpuCount} GPUs of its machine; take a machine with one, or share it by a SageMakerComponentEndpoint`,
  );
}
