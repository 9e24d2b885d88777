import { Duration, Names } from 'aws-cdk-lib';
import type * as appscaling from 'aws-cdk-lib/aws-applicationautoscaling';
import { PredefinedMetric } from 'aws-cdk-lib/aws-applicationautoscaling';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import type * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as iam from 'aws-cdk-lib/aws-iam';
import * as sagemaker from 'aws-cdk-lib/aws-sagemaker';
import { Construct } from 'constructs';
import { SpecError, type InferenceServicePlan, type Preset } from '../runtime/spec';
import { integer, number } from '../runtime/spec/numbers';
import { gatheredRights } from './gathered-rights';
import { kebabCase } from './kebab-case';
import type { Model } from './model';
import { RuntimeImage } from './runtime-image';
import { SageMakerAlarms } from './sagemaker-alarms';
import { GPU_MACHINE_IMAGE, lookUpMachine, planOnSageMaker, wordsOf, type SageMakerSpec } from './sagemaker-machine';
import { SageMakerEndpointBase, VARIANT } from './sagemaker-metrics';
import { createExecutionRole, createModel, createNetwork, type SageMakerNetworkProps } from './sagemaker-model';
import { defaultConcurrency, scaleOnConcurrency, wakeFromZero, WITHOUT_CAPACITY } from './sagemaker-scaling';

export interface SageMakerComponentEndpointProps extends SageMakerNetworkProps {
  /** @default - from the construct's path, so that two stacks do not meet */
  readonly endpointName?: string;
  /** `ml.g6.12xlarge`: EC2's name after `ml.`. All components share its GPUs, vCPUs and memory. */
  readonly instanceType: string;
  /** Fewest machines; 0 where all components may go. @default - 1 in production, 0 in development */
  readonly minInstances?: number;
  /** Most machines. @default - four times minInstances, 4 where that is 0 */
  readonly maxInstances?: number;
  /**
   * Image of the machines, by SageMaker's name; it decides the NVIDIA driver.
   * @default - for GPUs `al2-ami-sagemaker-inference-gpu-3-1` (driver 550)
   */
  readonly inferenceAmiVersion?: string;
  /** @default 'production' */
  readonly preset?: Preset;
}

/** The words of the spec, flat, and what only SageMaker knows. A replica is a copy here. */
export interface SageMakerComponentProps extends Omit<SageMakerSpec, 'preset'> {
  /** Name of the service in logs. @default - the construct's id in lower case, with dashes */
  readonly serviceName?: string;
  /** What clients name beside the endpoint. @default - from the construct's path */
  readonly componentName?: string;
  /** From a ModelBucket. */
  readonly model: Model;
  /** @default - built from this package when the app is deployed */
  readonly image?: RuntimeImage;
  /** Requests at once that a copy shall have. @default - two batches' worth, times targetSaturation */
  readonly targetConcurrency?: number;
  /** Percent of the copies that an update replaces at once, 5 to 50. @default 50 */
  readonly rolloutPercent?: number;
  /** Time between two batches of an update, in which alarms may take it back, up to an hour. @default - 5 minutes */
  readonly bake?: Duration;
  /** Whether alarms are made; updates are taken back by them. @default - true in production, false in development */
  readonly alarms?: boolean;
  /** What every alarm does when it goes off. @default - nothing; the alarms can be seen */
  readonly alarmActions?: readonly cloudwatch.IAlarmAction[];
}

/**
 * Machines of SageMaker that several models share: each is a component with copies of its own, which come and go with its
 * requests, down to none. The machines follow.
 *
 * @example
 * const shared = new SageMakerComponentEndpoint(this, 'Shared', { instanceType: 'ml.g6.12xlarge' });
 * shared.addComponent('Digits', { model: digits, minReplicas: 0, maxReplicas: 4 });
 */
export class SageMakerComponentEndpoint extends SageMakerEndpointBase {
  readonly endpointName: string;
  readonly instanceType: string;
  readonly preset: Preset;
  /** The parts. Exposed so that nothing is out of reach. */
  readonly role: iam.Role;
  readonly securityGroup?: ec2.SecurityGroup;
  readonly config: sagemaker.CfnEndpointConfig;
  readonly endpoint: sagemaker.CfnEndpoint;
  private readonly network: SageMakerNetworkProps;

  constructor(scope: Construct, id: string, props: SageMakerComponentEndpointProps) {
    super(scope, id);
    const { facts } = lookUpMachine(props.instanceType, ANY_MACHINE);
    this.instanceType = props.instanceType;
    this.preset = props.preset ?? 'production';
    const { vpc, vpcSubnets, networkIsolation = true } = props;
    this.network = {
      networkIsolation,
      ...(vpc === undefined ? {} : { vpc }),
      ...(vpcSubnets === undefined ? {} : { vpcSubnets }),
    };
    const minInstances = integer('minInstances', props.minInstances, this.preset === 'production' ? 1 : 0, 0, 1_000);
    const most = 4 * Math.max(1, minInstances);
    const maxInstances = integer('maxInstances', props.maxInstances, most, Math.max(1, minInstances), 1_000);
    const inferenceAmiVersion = props.inferenceAmiVersion ?? (facts === undefined ? undefined : GPU_MACHINE_IMAGE);

    this.endpointName = props.endpointName ?? Names.uniqueResourceName(this, { maxLength: 63, separator: '-' });
    this.role = createExecutionRole(this, vpc);
    const network = createNetwork(this, props);
    if (network !== undefined) this.securityGroup = network.securityGroup;
    this.config = new sagemaker.CfnEndpointConfig(this, 'Config', {
      executionRoleArn: this.role.roleArn,
      enableNetworkIsolation: networkIsolation,
      productionVariants: [
        {
          // No model: components bring theirs.
          variantName: VARIANT,
          instanceType: props.instanceType,
          initialInstanceCount: Math.max(1, minInstances),
          managedInstanceScaling: {
            status: 'ENABLED',
            minInstanceCount: minInstances,
            maxInstanceCount: maxInstances,
          },
          routingConfig: { routingStrategy: 'LEAST_OUTSTANDING_REQUESTS' },
          ...(inferenceAmiVersion === undefined ? {} : { inferenceAmiVersion }),
        },
      ],
      ...(network === undefined ? {} : { vpcConfig: network.config }),
    });
    this.config.node.addDependency(...gatheredRights(this.role));
    this.endpoint = new sagemaker.CfnEndpoint(this, 'Endpoint', {
      endpointName: this.endpointName,
      endpointConfigName: this.config.attrEndpointConfigName,
      retainAllVariantProperties: true,
    });
  }

  /** One more model on the machines. */
  addComponent(id: string, props: SageMakerComponentProps): SageMakerComponent {
    return new SageMakerComponent(this, id, { ...props, endpoint: this, network: this.network });
  }
}

/** A machine without a row of the catalogue will do: what each component gets of it is its own to say. */
const ANY_MACHINE: SageMakerSpec = { executionProvider: 'cpu', vcpu: 1, memoryMiB: 1 };

interface ComponentInput extends SageMakerComponentProps {
  readonly endpoint: SageMakerComponentEndpoint;
  readonly network: SageMakerNetworkProps;
}

/** A model on machines that it shares with others; `endpoint.addComponent` makes one. */
export class SageMakerComponent extends Construct {
  /** Every decided value. */
  readonly plan: InferenceServicePlan;
  /** What clients name beside the endpoint. */
  readonly componentName: string;
  /** The parts. Exposed so that nothing is out of reach. */
  readonly role: iam.Role;
  readonly model: sagemaker.CfnModel;
  readonly component: sagemaker.CfnInferenceComponent;
  readonly scaling: appscaling.ScalableTarget;
  /** undefined where no alarms were asked for. */
  readonly alarms?: SageMakerAlarms;

  /** @internal */
  constructor(scope: Construct, id: string, props: ComponentInput) {
    super(scope, id);
    const { endpoint } = props;
    const words = wordsOf({ minReplicas: 0, ...props, preset: endpoint.preset });
    this.plan = planOnSageMaker({
      name: props.serviceName ?? kebabCase(id),
      spec: words,
      machine: lookUpMachine(endpoint.instanceType, words),
      model: props.model.spec,
      sharesMachine: true,
      answers: 'realTime',
      wakeSource: 'queue',
    });
    assertRollout(props);
    this.componentName = props.componentName ?? Names.uniqueResourceName(this, { maxLength: 63, separator: '-' });
    // The machines' network is the endpoint's; a model that is shared out has none of its own.
    const { role, model } = createModel(this, {
      networkIsolation: props.network.networkIsolation ?? true,
      plan: this.plan,
      model: props.model,
      image: props.image ?? RuntimeImage.fromAsset(),
    });
    this.role = role;
    this.model = model;
    if (props.alarms ?? this.plan.preset === 'production') {
      this.alarms = new SageMakerAlarms(this, 'Alarms', {
        plan: this.plan,
        metric: (name, options) => this.metric(name, options),
        actions: props.alarmActions ?? [],
      });
    }
    this.component = this.createComponent(props);
    this.scaling = this.scale(props.targetConcurrency);
  }

  /** A figure of namespace `AWS/SageMaker` by its name. @default - average over a minute */
  metric(metricName: string, options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return new cloudwatch.Metric({
      namespace: 'AWS/SageMaker',
      metricName,
      dimensionsMap: { InferenceComponentName: this.componentName },
      period: Duration.minutes(1),
      statistic: 'Average',
      ...options,
    });
  }

  private createComponent(props: ComponentInput): sagemaker.CfnInferenceComponent {
    const { resources, scaling, lifecycle } = this.plan;
    const startup = Math.min(3_600, Math.max(60, lifecycle.startupBudgetSeconds));
    const alarms = this.alarms?.all ?? [];
    const batch = { type: 'CAPACITY_PERCENT', value: props.rolloutPercent ?? 50 };
    return new sagemaker.CfnInferenceComponent(this, 'Component', {
      inferenceComponentName: this.componentName,
      endpointName: props.endpoint.endpoint.attrEndpointName,
      variantName: VARIANT,
      specification: {
        modelName: this.model.attrModelName,
        computeResourceRequirements: {
          ...(resources.gpuCount > 0 ? { numberOfAcceleratorDevicesRequired: resources.gpuCount } : {}),
          numberOfCpuCoresRequired: resources.vcpu,
          minMemoryRequiredInMb: resources.memoryMiB,
          maxMemoryRequiredInMb: resources.memoryMiB,
        },
        startupParameters: {
          containerStartupHealthCheckTimeoutInSeconds: startup,
          modelDataDownloadTimeoutInSeconds: startup,
        },
      },
      // What it begins with; from then on the autoscaler owns the number.
      runtimeConfig: { copyCount: Math.max(1, scaling.minReplicas) },
      deploymentConfig: {
        rollingUpdatePolicy: {
          maximumBatchSize: batch,
          rollbackMaximumBatchSize: { type: 'CAPACITY_PERCENT', value: 100 },
          waitIntervalInSeconds: (props.bake ?? DEFAULT_BAKE).toSeconds(),
          maximumExecutionTimeoutInSeconds: Math.min(28_800, Math.max(600, 4 * lifecycle.progressDeadlineSeconds)),
        },
        ...(alarms.length === 0
          ? {}
          : { autoRollbackConfiguration: { alarms: alarms.map(({ alarmName }) => ({ alarmName })) } }),
      },
    });
  }

  private scale(targetConcurrency: number | undefined): appscaling.ScalableTarget {
    const { plan } = this;
    const scalable = scaleOnConcurrency(
      this,
      {
        plan,
        resourceId: `inference-component/${this.componentName}`,
        dimension: 'sagemaker:inference-component:DesiredCopyCount',
      },
      {
        metric: PredefinedMetric.SAGEMAKER_INFERENCE_COMPONENT_CONCURRENT_REQUESTS_PER_COPY_HIGH_RESOLUTION,
        target: number('targetConcurrency', targetConcurrency, defaultConcurrency(plan), 0.1, 100_000),
      },
    );
    // The name alone says nothing of the order.
    scalable.node.addDependency(this.component);
    if (plan.scaling.minReplicas === 0) {
      wakeFromZero(this, scalable, plan, this.metric(WITHOUT_CAPACITY.component, { statistic: 'Maximum' }));
    }
    return scalable;
  }
}

const DEFAULT_BAKE = Duration.minutes(5);

function assertRollout({ rolloutPercent = 50, bake = DEFAULT_BAKE }: SageMakerComponentProps): void {
  integer('rolloutPercent', rolloutPercent, 50, 5, 50);
  if (bake.toSeconds() <= 3_600) return;
  throw new SpecError('ROLLOUT_RANGE', 'bake', `must be at most an hour, got ${bake.toSeconds()} s`);
}
