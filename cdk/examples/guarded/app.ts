/**
 * An app without our constructs, guarded by ours: rules about GPUs and inference, a limit of what it may start, a budget
 * and tags. Synthesis fails where a rule or the limit is broken.
 *
 *     npx cdk deploy Guarded --app "npx tsx cdk/examples/guarded/main.ts"
 */
import { App, Aspects, Duration, Stack, Validations, type AppProps, type StackProps } from 'aws-cdk-lib';
import * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { CostGuard, GpuBudget, InferenceTags } from 'slipway/cdk';
import { InferenceRules } from 'slipway/cdk/validation';

const IMAGE_DIGEST = 'sha256:5f2c1f6f2c7a7f3a9d0d2f0b6a1d9d3d8a6f1c0b7e4d5a2938475665748392ab';

/** A GPU service as a team would write it with aws-cdk-lib alone. */
export class GuardedStack extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const vpc = new ec2.Vpc(this, 'Vpc', {
      maxAzs: 2,
      natGateways: 1,
      flowLogs: { Rejected: { trafficType: ec2.FlowLogTrafficType.REJECT } },
      restrictDefaultSecurityGroup: false,
    });
    const cluster = new ecs.Cluster(this, 'Cluster', { vpc, containerInsightsV2: ecs.ContainerInsights.ENABLED });
    const service = this.newService(cluster, this.newMachines(cluster));
    service.autoScaleTaskCount({ minCapacity: 1, maxCapacity: 4 }).scaleOnCpuUtilization('Cpu', {
      targetUtilizationPercent: 60,
    });
    // What this app has weighed and accepts is written where it is, and is in the validation report.
    Validations.of(service).acknowledge({
      id: 'Slipway::SERVICE_BEFORE_ASSOCIATION',
      reason: 'the runbook of this team deletes the service before the stack',
    });
    this.acceptFindings();
  }

  /** The same for those who run cdk-nag. */
  private acceptFindings(): void {
    const written = 'what CDK grants the ECS agent and the puller of images takes no narrower resource';
    const reasons = {
      'IAM5[Resource::*]': written,
      'IAM5[Action::ecs:Submit*]': written,
      AS3: 'the capacity provider scales the group; notifications would tell nobody anything',
      EC26: 'the root volume is that of the image, and nothing of anybody is on it',
      ECS2: 'the container has no environment but what ECS sets',
    };
    for (const [rule, reason] of Object.entries(reasons)) {
      Validations.of(this).acknowledge({ id: `AwsSolutions::AwsSolutions-${rule}`, reason });
    }
  }

  private newMachines(cluster: ecs.Cluster): ecs.AsgCapacityProvider {
    const userData = ec2.UserData.forLinux();
    userData.addCommands('echo ECS_AWSVPC_BLOCK_IMDS=true >> /etc/ecs/ecs.config');
    const launchTemplate = new ec2.LaunchTemplate(this, 'Machine', {
      instanceType: new ec2.InstanceType('g6.xlarge'),
      machineImage: ecs.EcsOptimizedImage.amazonLinux2023(ecs.AmiHardwareType.GPU),
      userData,
      role: new iam.Role(this, 'MachineRole', { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') }),
      securityGroup: new ec2.SecurityGroup(this, 'MachineSecurityGroup', { vpc: cluster.vpc }),
      requireImdsv2: true,
    });
    const group = new autoscaling.AutoScalingGroup(this, 'Machines', {
      vpc: cluster.vpc,
      launchTemplate,
      minCapacity: 0,
      maxCapacity: 4,
    });
    const provider = new ecs.AsgCapacityProvider(this, 'Provider', {
      autoScalingGroup: group,
      enableManagedDraining: true,
    });
    cluster.addAsgCapacityProvider(provider);
    return provider;
  }

  private newService(cluster: ecs.Cluster, provider: ecs.AsgCapacityProvider): ecs.Ec2Service {
    const images = ecr.Repository.fromRepositoryName(this, 'Images', 'classifier');
    const taskDefinition = new ecs.Ec2TaskDefinition(this, 'Task', { networkMode: ecs.NetworkMode.AWS_VPC });
    taskDefinition.addContainer('server', {
      image: ecs.ContainerImage.fromEcrRepository(images, IMAGE_DIGEST),
      gpuCount: 1,
      memoryLimitMiB: 8192,
      readonlyRootFilesystem: true,
      logging: ecs.LogDrivers.awsLogs({
        streamPrefix: 'server',
        mode: ecs.AwsLogDriverMode.NON_BLOCKING,
        logRetention: logs.RetentionDays.ONE_MONTH,
      }),
    });
    return new ecs.Ec2Service(this, 'Service', {
      cluster,
      taskDefinition,
      capacityProviderStrategies: [{ capacityProvider: provider.capacityProviderName, weight: 1 }],
      circuitBreaker: { rollback: true },
      minHealthyPercent: 100,
      healthCheckGracePeriod: Duration.minutes(10),
    });
  }
}

export function createApp(props?: AppProps): App {
  const app = new App(props);
  const stack = new GuardedStack(app, 'Guarded');
  Validations.of(app).addPlugins(new InferenceRules());
  Aspects.of(app).add(new CostGuard({ maxGpuMachines: 4, forbidTypes: ['p*'], requireScaleIn: true }));
  InferenceTags.add(app, { team: 'vision', service: 'classifier' });
  new GpuBudget(stack, 'Budget', {
    monthlyLimit: 2_000,
    tagKey: InferenceTags.KEYS.team,
    tagValue: 'vision',
    emails: ['vision@example.com'],
  });
  return app;
}
