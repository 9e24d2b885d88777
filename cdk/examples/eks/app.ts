/**
 * The sample model on an EKS cluster that is there already: a node group and a Karpenter pool of GPU machines, one service
 * on each, and one on any node's CPUs.
 *
 * The cluster has the add-ons `eks-pod-identity-agent` and `metrics-server`, NVIDIA's device plugin, KEDA with a
 * Prometheus, and Karpenter. The CDK applies objects by the function of the stack that made the cluster: its ARN and that
 * of its role, and the names of the cluster's parts, are given as parameters.
 *
 *     npx slipway model publish models/digits/model.onnx s3://<ModelBucketName>
 *     npx cdk deploy Eks --app "npx tsx cdk/examples/eks/main.ts" \
 *       --parameters ClusterName=prod --parameters ClusterSecurityGroup=sg-… --parameters KubectlFunction=arn:… \
 *       --parameters Subnets=subnet-…,subnet-… \
 *       --parameters Image=<what slipway image push printed> --parameters ModelBucketName=<bucket>
 */
import { Annotations, App, CfnParameter, Fn, Stack, type AppProps, type StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as eks from 'aws-cdk-lib/aws-eks-v2';
import * as s3 from 'aws-cdk-lib/aws-s3';
import {
  Capacity,
  EksGpuNodeGroup,
  EksInferenceService,
  KarpenterGpuPool,
  Model,
  ModelBucket,
  RuntimeImage,
} from 'slipway/cdk';

const IMAGE_REPOSITORY = 'slipway';
const NAMESPACE = 'inference';

export class EksStack extends Stack {
  constructor(scope: App, id: string, props?: StackProps) {
    super(scope, id, props);
    const cluster = this.importCluster();
    const image = this.importImage();
    const bucketName = this.parameter('ModelBucketName', 'where models were published', '^[a-z0-9.-]{3,63}$');
    const bucket = s3.Bucket.fromBucketName(this, 'ModelBucket', bucketName);
    const models = ModelBucket.fromBucket(this, 'Models', bucket);
    const model = Model.fromBucket(models, 'digits', { version: 1, onnxFile: 'models/digits/model.onnx' });

    const onCpu = new EksInferenceService(this, 'Digits', {
      cluster,
      namespace: NAMESPACE,
      createNamespace: true,
      models: [model],
      image,
      maxReplicas: 4,
    });
    const l4 = new EksGpuNodeGroup(this, 'L4', { cluster, capacity: Capacity.onDemand(['g6.xlarge']), maxSize: 4 });
    const onNodes = new EksInferenceService(this, 'DigitsOnNodes', {
      cluster,
      namespace: NAMESPACE,
      models: [model],
      image,
      placement: l4.placement,
      instanceTypes: l4.instanceTypes,
      metricsFrom: 'keda',
      maxReplicas: 4,
    });
    const spot = new KarpenterGpuPool(this, 'Spot', {
      cluster,
      capacity: Capacity.spotFirst(['g6.xlarge', 'g5.xlarge']),
      maxGpus: 4,
      subnetTags: { 'karpenter.sh/discovery': 'prod' },
    });
    const onSpot = new EksInferenceService(this, 'DigitsOnSpot', {
      cluster,
      namespace: NAMESPACE,
      models: [model],
      image,
      placement: spot.placement,
      instanceTypes: spot.instanceTypes,
      metricsFrom: 'keda',
      maxReplicas: 4,
    });
    // The first service brings the namespace.
    for (const service of [onNodes, onSpot]) service.node.addDependency(onCpu.namespaceManifest!);
  }

  private importCluster(): eks.ICluster {
    const subnets = new CfnParameter(this, 'Subnets', {
      description: 'two private subnets of the cluster, in zones of their own',
      type: 'List<AWS::EC2::Subnet::Id>',
    });
    const vpc = ec2.Vpc.fromVpcAttributes(this, 'Vpc', {
      // Nothing here asks for it: machines go where the subnets are.
      vpcId: 'of the cluster',
      availabilityZones: [Fn.select(0, Fn.getAzs()), Fn.select(1, Fn.getAzs())],
      privateSubnetIds: [Fn.select(0, subnets.valueAsList), Fn.select(1, subnets.valueAsList)],
    });
    Annotations.of(vpc).acknowledgeWarning('@aws-cdk/aws-ec2:noSubnetRouteTableId', 'no route is added to the subnets');
    const serviceToken = this.parameter('KubectlFunction', 'ARN of the function that applies objects', '^arn:.+$');
    return eks.Cluster.fromClusterAttributes(this, 'Cluster', {
      vpc,
      clusterName: this.parameter('ClusterName', 'name of the cluster', '^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$'),
      clusterSecurityGroupId: this.parameter('ClusterSecurityGroup', 'security group of the cluster', '^sg-[0-9a-f]+$'),
      kubectlProvider: eks.KubectlProvider.fromKubectlProviderAttributes(this, 'Kubectl', { serviceToken }),
    });
  }

  private importImage(): RuntimeImage {
    const pattern = `^[^@]+/${IMAGE_REPOSITORY}@sha256:[0-9a-f]{64}$`;
    const pushed = this.parameter('Image', 'image of the server with its digest', pattern);
    const images = ecr.Repository.fromRepositoryName(this, 'Images', IMAGE_REPOSITORY);
    return RuntimeImage.fromRepository(images, Fn.select(1, Fn.split('@', pushed)));
  }

  private parameter(id: string, description: string, allowedPattern: string): string {
    return new CfnParameter(this, id, { description, allowedPattern }).valueAsString;
  }
}

export function createApp(props?: AppProps): App {
  const app = new App(props);
  new EksStack(app, 'Eks');
  return app;
}
