/**
 * A model on the CPUs of Fargate: nothing to keep but the service. It is there in working hours and gone at night, and
 * follows the saturation of its replicas and the number of its requests meanwhile.
 *
 *     npx cdk deploy CpuFargate --app "npx tsx cdk/examples/cpu-fargate/main.ts"
 *     npx cdk destroy CpuFargate --app "npx tsx cdk/examples/cpu-fargate/main.ts"
 *
 * The server image is built from the installed package when the stack is deployed; where there is no Docker, one that was
 * pushed from elsewhere will do: `--context image=<what slipway image push printed>`.
 */
import { App, CfnOutput, RemovalPolicy, Stack, TimeZone, type AppProps, type StackProps } from 'aws-cdk-lib';
import { Schedule } from 'aws-cdk-lib/aws-applicationautoscaling';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { Capacity, InferenceService, Model, RuntimeImage, Scaling } from 'slipway/cdk';

export class CpuFargateStack extends Stack {
  constructor(scope: Construct, id: string, props?: StackProps) {
    super(scope, id, props);
    const digits = new InferenceService(this, 'Digits', {
      cluster: newCluster(this),
      models: [Model.fromAsset('models/digits/model.onnx')],
      image: this.image(),
      // Half of the replicas on spare machines of AWS, which may take them back with two minutes' notice.
      capacity: Capacity.fargate({ spotPercentage: 50, base: 1 }),
      vcpu: 2,
      minReplicas: 0,
      maxReplicas: 12,
      scaling: [
        // How full the replicas are, whatever their models cost…
        Scaling.saturation(),
        // …and a bound on requests that holds before replicas have measured anything.
        Scaling.requests({ perReplicaPerMinute: 6_000 }),
        Scaling.schedule('Day', { ...at('7'), minReplicas: 2, maxReplicas: 12 }),
        Scaling.schedule('Night', { ...at('20'), minReplicas: 0, maxReplicas: 0 }),
      ],
      // 2 vCPU and 4 GiB for an hour; prices are yours to look up.
      replicaHourPrice: 0.099,
      plaintextInsideVpc: true,
    });
    new CfnOutput(this, 'Url', { value: digits.url, description: 'from inside the VPC, once a client is let in' });
  }

  private image(): RuntimeImage {
    const pushed = this.node.tryGetContext('image') as string | undefined;
    if (pushed === undefined) return RuntimeImage.fromAsset();
    return RuntimeImage.fromRepository(ecr.Repository.fromRepositoryName(this, 'Images', 'slipway'), pushed);
  }
}

/** On working days. */
function at(hour: string): { readonly schedule: Schedule; readonly timeZone: TimeZone } {
  return { schedule: Schedule.cron({ weekDay: 'MON-FRI', hour, minute: '0' }), timeZone: TimeZone.EUROPE_BERLIN };
}

/** Two zones with private subnets; models and image layers come through the free S3 endpoint, not through the NAT gateway. */
function newCluster(stack: Stack): ecs.Cluster {
  const vpc = new ec2.Vpc(stack, 'Vpc', {
    maxAzs: 2,
    natGateways: 1,
    gatewayEndpoints: { S3: { service: ec2.GatewayVpcEndpointAwsService.S3 } },
    flowLogs: { Rejected: rejectedTraffic(stack) },
    // Emptying the default security group takes a Lambda function, and nothing here is in that group.
    restrictDefaultSecurityGroup: false,
  });
  return new ecs.Cluster(stack, 'Cluster', {
    vpc,
    containerInsightsV2: ecs.ContainerInsights.ENABLED,
    enableFargateCapacityProviders: true,
  });
}

/** What was refused in the network; it goes when the stack goes. */
function rejectedTraffic(stack: Stack): ec2.FlowLogOptions {
  const group = new logs.LogGroup(stack, 'RejectedTraffic', {
    retention: logs.RetentionDays.ONE_MONTH,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  return {
    trafficType: ec2.FlowLogTrafficType.REJECT,
    destination: ec2.FlowLogDestination.toCloudWatchLogs(group),
  };
}

export function createApp(props?: AppProps): App {
  const app = new App(props);
  new CpuFargateStack(app, 'CpuFargate');
  return app;
}
