/**
 * A service into what an organisation has already: VPC, cluster, bucket, keys, roles, security groups and log group come
 * from outside, and the stack makes the service and its load balancer alone.
 *
 *     npx cdk deploy BringYourOwn --app "npx tsx cdk/examples/bring-your-own/main.ts" --parameters Image=… …
 *
 * What the organisation must have seen to:
 * - the task role trusts `ecs-tasks.amazonaws.com`; the right to read the model is added to it here;
 * - the execution role may pull the image and write the log group;
 * - the key of the bucket lets the task role decrypt;
 * - the security group lets out HTTPS, and the subnets have a way to S3, ECR and CloudWatch Logs.
 */
import { App, CfnOutput, CfnParameter, Fn, Stack, type AppProps, type StackProps } from 'aws-cdk-lib';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { InferenceService, Model, ModelBucket, RuntimeImage } from 'slipway/cdk';

const IMAGE_REPOSITORY = 'slipway-bring-your-own';

export class BringYourOwnStack extends Stack {
  constructor(scope: App, id: string, props?: StackProps) {
    super(scope, id, props);
    const image = this.parameter('Image', 'image of the server with its digest, as slipway image push printed it');
    const images = ecr.Repository.fromRepositoryName(this, 'Images', IMAGE_REPOSITORY);
    const vpc = this.importVpc();
    const models = ModelBucket.fromBucket(
      this,
      'Models',
      s3.Bucket.fromBucketAttributes(this, 'Bucket', {
        bucketName: this.parameter('ModelBucket', 'name of the bucket that holds the models'),
        encryptionKey: kms.Key.fromKeyArn(
          this,
          'BucketKey',
          this.parameter('ModelKey', 'ARN of the key of the bucket'),
        ),
      }),
    );

    const digits = new InferenceService(this, 'Digits', {
      cluster: ecs.Cluster.fromClusterAttributes(this, 'Cluster', {
        clusterName: this.parameter('ClusterName', 'name of the ECS cluster'),
        vpc,
      }),
      image: RuntimeImage.fromRepository(images, Fn.select(1, Fn.split('@', image))),
      models: [Model.fromBucket(models, 'digits', { version: 1, maxBatchSize: 16 })],
      executionProvider: 'cpu',
      memoryMiB: 2048,
      startupBudgetSeconds: 60,
      taskRole: iam.Role.fromRoleArn(this, 'TaskRole', this.parameter('TaskRoleArn', 'role that replicas take')),
      executionRole: iam.Role.fromRoleArn(
        this,
        'ExecutionRole',
        this.parameter('ExecutionRoleArn', 'role by which ECS starts replicas'),
        { mutable: false },
      ),
      securityGroups: [
        ec2.SecurityGroup.fromSecurityGroupId(
          this,
          'Replicas',
          this.parameter('SecurityGroup', 'security group of the replicas'),
          { allowAllOutbound: false },
        ),
      ],
      logGroup: logs.LogGroup.fromLogGroupName(
        this,
        'Lines',
        this.parameter('LogGroup', 'name of a log group of the standard class'),
      ),
      certificate: acm.Certificate.fromCertificateArn(
        this,
        'Certificate',
        this.parameter('CertificateArn', 'certificate for the name that clients call'),
      ),
      hostName: 'digits.ml.internal.example',
    });
    new CfnOutput(this, 'LoadBalancer', { value: digits.loadBalancer!.loadBalancerDnsName });
  }

  // The number of zones is plain, and the ids come when the stack is deployed.
  private importVpc(): ec2.IVpc {
    const subnets = this.parameter('PrivateSubnets', 'ids of two private subnets, joined by a comma');
    return ec2.Vpc.fromVpcAttributes(this, 'Vpc', {
      vpcId: this.parameter('VpcId', 'id of the VPC'),
      availabilityZones: [0, 1].map((i) => Fn.select(i, Fn.getAzs())),
      privateSubnetIds: [0, 1].map((i) => Fn.select(i, Fn.split(',', subnets))),
      // The routes are the organisation's: nothing here changes them.
      privateSubnetRouteTableIds: [0, 1].map(() => 'theirs'),
    });
  }

  private parameter(id: string, description: string): string {
    return new CfnParameter(this, id, { description }).valueAsString;
  }
}

export function createApp(props?: AppProps): App {
  const app = new App(props);
  new BringYourOwnStack(app, 'BringYourOwn');
  return app;
}
