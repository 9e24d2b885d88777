import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as ssm from 'aws-cdk-lib/aws-ssm';
import { Construct, type IConstruct } from 'constructs';
import { PORTS, SpecError } from '../runtime/spec';
import type { IInferencePlatform } from './platform';
import { serviceParameterName, type ServiceParameter } from './platform-membership';
import { serviceNamed } from './service-foundations';

/** An inference service, whoever made it. */
export interface IInferenceService extends IConstruct, ec2.IConnectable {
  /** Its name in metrics and logs. */
  readonly serviceName: string;
  /** Where clients send requests. */
  readonly url: string;
  readonly service: ecs.IBaseService;
}

export interface InferenceServiceAttributes {
  /** Its name in metrics and logs. */
  readonly serviceName: string;
  /** Where clients send requests. */
  readonly url: string;
  /** What lets clients in: the load balancer's, or the replicas' where there is none. */
  readonly securityGroup: ec2.ISecurityGroup;
  /** Port on which clients are let in. */
  readonly port: number;
  readonly cluster: ecs.ICluster;
  /** Name that ECS knows it by, as `service.serviceName` says it. @default - `serviceName` */
  readonly ecsServiceName?: string;
}

/** A service that another stack or app made. */
export class ImportedService extends Construct implements IInferenceService {
  readonly serviceName: string;
  readonly url: string;
  readonly connections: ec2.Connections;
  readonly service: ecs.IBaseService;

  constructor(scope: Construct, id: string, attributes: InferenceServiceAttributes) {
    super(scope, id);
    this.serviceName = attributes.serviceName;
    this.url = attributes.url;
    this.connections = new ec2.Connections({
      securityGroups: [attributes.securityGroup],
      defaultPort: ec2.Port.tcp(attributes.port),
    });
    this.service = ecs.FargateService.fromFargateServiceAttributes(this, 'Service', {
      serviceName: attributes.ecsServiceName ?? attributes.serviceName,
      cluster: attributes.cluster,
    });
  }
}

export interface PlatformServiceOptions {
  /**
   * Whether the service is behind the platform's listener, as it says itself. One that is not is called by the name that
   * its `serviceConnect` has, from services of the same namespace.
   * @default true
   */
  readonly loadBalancer?: boolean;
}

/** A service of a platform, found by the parameters that it published there. */
export function serviceOfPlatform(
  scope: Construct,
  id: string,
  platform: IInferencePlatform,
  serviceName: string,
  { loadBalancer = true }: PlatformServiceOptions,
): ImportedService {
  assertKind(scope, platform, serviceName, loadBalancer);
  const read = (parameter: ServiceParameter): string =>
    ssm.StringParameter.valueForStringParameter(scope, serviceParameterName(platform, serviceName, parameter));
  const { securityGroup, port } = loadBalancer
    ? platform.sharedListener
    : {
        // As it was made: it lets nothing out that nobody named.
        securityGroup: ec2.SecurityGroup.fromSecurityGroupId(scope, `${id}SecurityGroup`, read('security-group'), {
          allowAllOutbound: false,
        }),
        port: PORTS.http,
      };
  return new ImportedService(scope, id, {
    serviceName,
    url: read(loadBalancer ? 'url' : 'connect-url'),
    securityGroup,
    port,
    cluster: platform.cluster,
    ecsServiceName: read('ecs-service'),
  });
}

// Of a service of the same app it is known at once; of others CloudFormation says that there is no such parameter.
function assertKind(scope: Construct, platform: IInferencePlatform, serviceName: string, loadBalancer: boolean): void {
  const service = serviceNamed(scope, platform.cluster, serviceName) as { readonly listener?: object } | undefined;
  if (service === undefined || (service.listener !== undefined) === loadBalancer) return;
  throw new SpecError(
    'LISTENER_CHOICE',
    'loadBalancer',
    loadBalancer
      ? `'${serviceName}' has no load balancer: its replicas let callers in; write { loadBalancer: false }`
      : `'${serviceName}' is behind the platform's listener; leave loadBalancer out`,
  );
}
