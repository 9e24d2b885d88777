import { Duration } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { Auth, Rollout, type InferenceService, type InferenceServiceProps } from 'slipway/cdk';
import { expect, test } from 'vitest';
import {
  describeWithAndWithoutFlags,
  newCluster,
  newFargateService,
  newStack,
  resourcesOf,
  theOnly,
} from './support/stacks';

describeWithAndWithoutFlags('a service that is called by name', (newStack) => {
  function declare(props: Partial<InferenceServiceProps> = {}) {
    const stack = newStack();
    const cluster = newCluster(stack);
    cluster.addDefaultCloudMapNamespace({ name: 'ml.internal', useForServiceConnect: true });
    const service = newFargateService(stack, { cluster, loadBalancer: false, serviceConnect: {}, ...props });
    return { stack, service };
  }

  function connected(props: Partial<InferenceServiceProps> = {}) {
    const { stack, service } = declare(props);
    return { service, template: Template.fromStack(stack) };
  }

  test('answers HTTP and gRPC by its name, as long as a request may take', () => {
    const { template, service } = connected({ requestDeadlineSeconds: 90 });
    const { Services } = theOnly(template, 'AWS::ECS::Service').Properties.ServiceConnectConfiguration;
    expect(Services).toMatchObject([
      { PortName: 'http', DiscoveryName: 'digits-http', ClientAliases: [{ DnsName: 'digits', Port: 8080 }] },
      { PortName: 'grpc', DiscoveryName: 'digits-grpc', ClientAliases: [{ DnsName: 'digits', Port: 8081 }] },
    ]);
    for (const { Timeout } of Services) {
      expect(Timeout.PerRequestTimeoutSeconds).toBeGreaterThan(90);
      expect(Timeout.IdleTimeoutSeconds).toBe(Timeout.PerRequestTimeoutSeconds);
    }
    const [container] = theOnly(template, 'AWS::ECS::TaskDefinition').Properties.ContainerDefinitions;
    expect(container.PortMappings.map(({ Name, AppProtocol }: any) => [Name, AppProtocol])).toEqual([
      ['http', 'http'],
      ['grpc', 'grpc'],
      ['metrics', undefined],
    ]);
    expect(service.url).toBe('http://digits:8080');
  });

  test('has no load balancer, no target group and no grace for a check that nobody makes', () => {
    const { template, service } = connected();
    for (const type of ['LoadBalancer', 'Listener', 'TargetGroup']) {
      template.resourceCountIs(`AWS::ElasticLoadBalancingV2::${type}`, 0);
    }
    const { Properties } = theOnly(template, 'AWS::ECS::Service');
    expect(Properties.HealthCheckGracePeriodSeconds).toBeUndefined();
    expect(Properties.LoadBalancers ?? []).toEqual([]);
    expect(service.loadBalancer).toBeUndefined();
    expect(service.alarms!.serverErrors).toBeUndefined();
  });

  test('lets in nobody but who is let in, on the port of the replicas', () => {
    const ingress = (letIn: (service: InferenceService) => void): unknown[] => {
      const { stack, service } = declare();
      letIn(service);
      return resourcesOf(Template.fromStack(stack), 'AWS::EC2::SecurityGroupIngress').map(
        ({ Properties }) => Properties.FromPort,
      );
    };
    expect(ingress(() => {})).toEqual([]);
    const letIn = ({ cluster, connections }: InferenceService): void =>
      connections.allowDefaultPortFrom(new ec2.SecurityGroup(cluster, 'Client', { vpc: cluster.vpc }));
    expect(ingress(letIn)).toEqual([8080]);
  });

  test('has room for the proxy beside the server, whose own share stays what the model needs', () => {
    const alone = newFargateService(newStack(), { plaintextInsideVpc: true }).plan.resources;
    const { service, template } = connected();
    const { Cpu, Memory, ContainerDefinitions } = theOnly(template, 'AWS::ECS::TaskDefinition').Properties;
    expect(Number(Cpu)).toBeGreaterThanOrEqual(alone.vcpu * 1024 + 256);
    expect(ContainerDefinitions[0].Memory).toBe(Number(Memory) - 64);
    expect(service.plan.resources.neededMemoryMiB).toBeLessThanOrEqual(ContainerDefinitions[0].Memory);
  });

  test('has the proxy write the same log, without ever waiting for it', () => {
    const { template } = connected();
    const { LogConfiguration } = theOnly(template, 'AWS::ECS::Service').Properties.ServiceConnectConfiguration;
    expect(LogConfiguration.Options).toMatchObject({
      'awslogs-group': { Ref: theOnly(template, 'AWS::Logs::LogGroup').id },
      mode: 'non-blocking',
    });
  });

  test('may have a load balancer beside its name', () => {
    const { template } = connected({ loadBalancer: undefined, plaintextInsideVpc: true });
    expect(theOnly(template, 'AWS::ECS::Service').Properties.ServiceConnectConfiguration.Enabled).toBe(true);
    template.resourceCountIs('AWS::ElasticLoadBalancingV2::LoadBalancer', 1);
  });
});

test('a service that nobody could call, or whose words belong to a load balancer, is refused', () => {
  const refused = (props: Partial<InferenceServiceProps>) => () => {
    const stack = newStack();
    const serviceConnect = { namespace: 'ml.internal' };
    return newFargateService(stack, { loadBalancer: false, serviceConnect, ...props });
  };
  expect(refused({ serviceConnect: undefined })).toThrow(
    'LISTENER_CHOICE loadBalancer: got false, and nobody could call',
  );
  expect(refused({ plaintextInsideVpc: true })).toThrow('LISTENER_CHOICE plaintextInsideVpc');
  const jwt = { issuer: 'https://i.example', jwksEndpoint: 'https://i.example/jwks' };
  expect(refused({ auth: Auth.jwt(jwt) })).toThrow('LISTENER_CHOICE auth: asks at a load balancer');
  expect(refused({ auth: Auth.jwtInReplicas(jwt) })).not.toThrow();
  expect(refused({ rollout: Rollout.blueGreen({ bake: Duration.minutes(10) }) })).toThrow(
    'ROLLOUT_WITHOUT_BALANCER rollout: a blueGreen rollout shifts traffic at a load balancer',
  );
  expect(refused({ rollout: Rollout.rolling({ alarmRollback: true }) })).toThrow(
    'ROLLOUT_WITHOUT_BALANCER rollout: a rolling rollout with alarmRollback watches a load balancer',
  );
  expect(refused({ serviceConnect: {} })).toThrow(
    "SERVICE_CONNECT_NAMESPACE serviceConnect.namespace: the cluster 'Stack/Cluster' has no namespace of its own",
  );
});
