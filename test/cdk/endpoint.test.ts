import { App, Duration, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as s3 from 'aws-cdk-lib/aws-s3';
import { InferenceService, Model, Rollout, type InferenceServiceProps } from 'slipway/cdk';
import { expect, test } from 'vitest';
import {
  DIGITS,
  describeWithAndWithoutFlags,
  imageByDigest,
  newFargateService,
  newStack,
  theOnly,
} from './support/stacks';
import { clusterOf, named, newSharedListener, serve } from './support/services';

const TARGET_GROUP = 'AWS::ElasticLoadBalancingV2::TargetGroup';
const RULE = 'AWS::ElasticLoadBalancingV2::ListenerRule';

describeWithAndWithoutFlags('the endpoint of a service', (newStack) => {
  test('gRPC is answered on the listener of HTTP, by target groups of its own', () => {
    const { template, service } = serve(newStack(), { grpc: true });
    const { TargetGroup, GrpcTargetGroup } = named(template, TARGET_GROUP);
    expect(GrpcTargetGroup!.Properties).toMatchObject({
      ProtocolVersion: 'GRPC',
      Protocol: 'HTTP',
      Port: 8081,
      TargetType: 'ip',
      HealthCheckPath: '/AWS.ALB/healthcheck',
      Matcher: { GrpcCode: '0' },
    });
    expect(TargetGroup!.Properties.ProtocolVersion).toBeUndefined();
    expect(theOnly(template, RULE).Properties).toMatchObject({
      Priority: 1,
      Conditions: [
        {
          Field: 'http-header',
          HttpHeaderConfig: { HttpHeaderName: 'content-type', Values: ['application/grpc', 'application/grpc+*'] },
        },
      ],
      Actions: [{ Type: 'forward', TargetGroupArn: { Ref: GrpcTargetGroup!.id } }],
    });
    expect(theOnly(template, 'AWS::ECS::Service').Properties.LoadBalancers).toEqual([
      { ContainerName: 'server', ContainerPort: 8080, TargetGroupArn: { Ref: TargetGroup!.id } },
      { ContainerName: 'server', ContainerPort: 8081, TargetGroupArn: { Ref: GrpcTargetGroup!.id } },
    ]);
    expect(service.grpcTargetGroup).toBeDefined();
  });

  test('every target group goes to the least busy replica, and none slows a new one down', () => {
    const { template } = serve(newStack(), { grpc: true, rollout: Rollout.blueGreen({ bake: Duration.minutes(10) }) });
    const groups = Object.values(named(template, TARGET_GROUP));
    expect(groups).toHaveLength(4);
    for (const { Properties } of groups) {
      const attributes = JSON.stringify(Properties.TargetGroupAttributes);
      expect(attributes).toContain('least_outstanding_requests');
      expect(attributes).not.toContain('slow_start');
    }
  });

  test('gRPC opens its port between load balancer and replicas, and no other', () => {
    const { template } = serve(newStack(), { grpc: true });
    const ports = Object.values(template.findResources('AWS::EC2::SecurityGroupIngress')).map(({ Properties }: any) => [
      Properties.FromPort,
      Properties.ToPort,
    ]);
    expect(ports.sort()).toEqual([
      [8080, 8080],
      [8081, 8081],
    ]);
  });

  test('a listener of our own speaks TLS 1.2 or newer', () => {
    const { template } = serve(newStack());
    expect(theOnly(template, 'AWS::ElasticLoadBalancingV2::Listener').Properties).toMatchObject({
      Port: 443,
      Protocol: 'HTTPS',
      SslPolicy: 'ELBSecurityPolicy-TLS13-1-2-Res-2021-06',
    });
  });

  test('on a shared listener a service is a rule, and brings no load balancer', () => {
    const stack = newStack();
    const listener = newSharedListener(stack);
    const cluster = clusterOf(stack);
    const service = newFargateService(stack, { cluster, listener, priority: 10, path: '/v2/models/digits*' });
    const template = Template.fromStack(stack);
    expect(service.loadBalancer).toBeUndefined();
    template.resourceCountIs('AWS::ElasticLoadBalancingV2::LoadBalancer', 1);
    const target = theOnly(template, TARGET_GROUP).id;
    expect(theOnly(template, RULE).Properties).toMatchObject({
      Priority: 10,
      Conditions: [{ Field: 'path-pattern', PathPatternConfig: { Values: ['/v2/models/digits*'] } }],
      Actions: [{ Type: 'forward', TargetGroupArn: { Ref: target } }],
    });
    const ingress: any = theOnly(template, 'AWS::EC2::SecurityGroupIngress').Properties;
    expect(ingress).toMatchObject({ FromPort: 8080, ToPort: 8080 });
    expect(ingress.SourceSecurityGroupId['Fn::GetAtt'][0]).toMatch(/^Shared/);
    expect(JSON.stringify(stack.resolve(service.url))).toContain('https://');
  });

  test('replicas keep connections longer than the shared load balancer does', () => {
    const stack = newStack();
    const listener = newSharedListener(stack, { idleTimeoutSeconds: 75 });
    const service = newFargateService(stack, {
      cluster: clusterOf(stack),
      listener,
      priority: 1,
      hostName: 'a.example',
    });
    expect(service.plan.lifecycle).toMatchObject({ idleTimeoutSeconds: 75, keepAliveSeconds: 80 });
  });

  test('gRPC on a shared listener is told apart by name and content type, before HTTP', () => {
    const stack = newStack();
    const listener = newSharedListener(stack);
    newFargateService(stack, { cluster: clusterOf(stack), listener, priority: 7, hostName: 'a.example', grpc: true });
    const { GrpcRule, ProductionRule } = named(Template.fromStack(stack), RULE);
    expect(GrpcRule!.Properties).toMatchObject({
      Priority: 7,
      Conditions: [{ HostHeaderConfig: { Values: ['a.example'] } }, { Field: 'http-header' }],
    });
    expect(ProductionRule!.Properties).toMatchObject({
      Priority: 8,
      Conditions: [{ HostHeaderConfig: { Values: ['a.example'] } }],
    });
  });

  test('errors that a shared load balancer counts for all services are blamed on none', () => {
    const stack = newStack();
    const listener = newSharedListener(stack);
    newFargateService(stack, { cluster: clusterOf(stack), listener, priority: 7, path: '/v2/models/digits*' });
    const text = JSON.stringify(Template.fromStack(stack).findResources('AWS::CloudWatch::Alarm'));
    expect(text).toContain('HTTPCode_Target_5XX_Count');
    expect(text).not.toContain('HTTPCode_ELB_5XX_Count');
  });
});

test('two rules of one priority on one listener are refused, gRPC counting twice', () => {
  const synthesize = (second: Partial<InferenceServiceProps>) => () => {
    const stack = newStack();
    const listener = newSharedListener(stack);
    const cluster = clusterOf(stack);
    newFargateService(stack, { cluster, listener, priority: 10, hostName: 'a.example', grpc: true });
    new InferenceService(stack, 'Other', {
      cluster,
      image: imageByDigest(stack, 'Theirs'),
      models: [Model.fromAsset(DIGITS)],
      listener,
      path: '/v2/models/other*',
      ...second,
    });
    Template.fromStack(stack);
  };
  expect(synthesize({ priority: 10 })).toThrow(
    "PRIORITY_TAKEN priority: 10 is that of 'Stack/Digits' on the same listener; give one of them another",
  );
  expect(synthesize({ priority: 11 })).toThrow("PRIORITY_TAKEN priority: 11 is that of 'Stack/Digits'");
  expect(synthesize({ priority: 12 })).not.toThrow();
});

test('what a shared listener needs to know is asked for, and what it has decided is refused', () => {
  const refused = (props: Partial<InferenceServiceProps>, over = {}) => {
    const stack = newStack();
    const listener = newSharedListener(stack, over);
    return () => newFargateService(stack, { cluster: clusterOf(stack), listener, ...props });
  };
  expect(refused({ path: '/a' })).toThrow(
    'PRIORITY_MISSING priority: a rule of a shared listener needs a place, a whole number from 1 to 49999, got nothing',
  );
  expect(refused({ path: '/a', priority: 50_000 })).toThrow('PRIORITY_MISSING priority');
  expect(refused({ priority: 1 })).toThrow('PRIORITY_MISSING path: say which requests of the shared listener');
  expect(refused({ path: '/a', priority: 1, plaintextInsideVpc: true })).toThrow('LISTENER_CHOICE plaintextInsideVpc');
  expect(refused({ path: '/a', priority: 1, grpc: true })).toThrow('GRPC_WITHOUT_HOST hostName');
  expect(refused({ hostName: 'a', priority: 1, grpc: true }, { isTls: false })).toThrow('GRPC_WITHOUT_TLS grpc');
  expect(refused({ path: '/a', priority: 1, idleTimeoutSeconds: 60 })).toThrow(
    'IDLE_TIMEOUT_RANGE idleTimeoutSeconds: the shared load balancer has 90 s, got 60; leave it out',
  );
});

test('what only a shared listener has is refused without one', () => {
  const refused = (props: Partial<InferenceServiceProps>) => () =>
    newFargateService(newStack(), { plaintextInsideVpc: true, ...props });
  expect(refused({ priority: 1 })).toThrow('LISTENER_CHOICE priority: belongs to a shared listener');
  expect(refused({ path: '/a' })).toThrow('LISTENER_CHOICE path: belongs to a shared listener');
  expect(refused({ grpc: true })).toThrow('GRPC_WITHOUT_TLS grpc: a load balancer takes gRPC over TLS alone');
});

test('access logs go to the bucket where the region is known, and are missed aloud where it is not', () => {
  const logged = new Stack(new App({ analyticsReporting: false }), 'Stack', {
    env: { account: '111122223333', region: 'eu-west-1' },
  });
  const { template } = serve(logged, { accessLogsBucket: new s3.Bucket(logged, 'Logs') });
  const { LoadBalancerAttributes } = theOnly(template, 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties;
  expect(LoadBalancerAttributes).toContainEqual({ Key: 'access_logs.s3.enabled', Value: 'true' });
  const stack = newStack();
  serve(stack, { accessLogsBucket: new s3.Bucket(stack, 'Logs') });
  expect(
    Annotations.fromStack(stack).findWarning('*', Match.stringLikeRegexp('access-logs-without-region')),
  ).toHaveLength(1);
});

test('clients are given the name that the author chose, and the certificate is for', () => {
  expect(serve(newStack(), { hostName: 'digits.example' }).service.url).toBe('https://digits.example');
});
