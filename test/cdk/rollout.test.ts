import { Duration } from 'aws-cdk-lib';
import { Annotations, Match, type Template } from 'aws-cdk-lib/assertions';
import { GpuInstanceGroup, GpuMachineImage, Rollout, type InferenceServiceProps, type ShiftOptions } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { clusterOf, named, newSharedListener, serve } from './support/services';
import {
  describeWithAndWithoutFlags,
  newCluster,
  newFargateService,
  newStack,
  resourcesOf,
  theOnly,
} from './support/stacks';

const TEN = Duration.minutes(10);
const KINDS = {
  canary: (options: ShiftOptions = {}) => Rollout.canary({ percent: 10, bake: TEN, ...options }),
  linear: (options: ShiftOptions = {}) => Rollout.linear({ percent: 20, every: Duration.minutes(2), ...options }),
  blueGreen: (options: ShiftOptions = {}) => Rollout.blueGreen({ bake: TEN, ...options }),
} as const;

describeWithAndWithoutFlags('a rollout', (newStack) => {
  function deployment(template: Template): any {
    return theOnly(template, 'AWS::ECS::Service').Properties.DeploymentConfiguration;
  }

  test('gives the new revision its share as its author says', () => {
    const of = (rollout: Rollout): unknown => deployment(serve(newStack(), { rollout }).template);
    expect(of(KINDS.canary())).toMatchObject({
      Strategy: 'CANARY',
      CanaryConfiguration: { CanaryPercent: 10, CanaryBakeTimeInMinutes: 10 },
      BakeTimeInMinutes: 10,
    });
    expect(of(KINDS.linear())).toMatchObject({
      Strategy: 'LINEAR',
      LinearConfiguration: { StepPercent: 20, StepBakeTimeInMinutes: 2 },
      BakeTimeInMinutes: 5,
    });
    expect(of(KINDS.blueGreen())).toMatchObject({ Strategy: 'BLUE_GREEN', BakeTimeInMinutes: 10 });
    expect(of(Rollout.rolling())).not.toHaveProperty('Strategy');
  });

  for (const [kind, rollout] of Object.entries(KINDS)) {
    test(`${kind}: every kind of requests names the rule that is shifted and where to, by one role`, () => {
      const { template, service } = serve(newStack(), { rollout: rollout(), grpc: true });
      const { LoadBalancers } = theOnly(template, 'AWS::ECS::Service').Properties;
      const rules = named(template, 'AWS::ElasticLoadBalancingV2::ListenerRule');
      const groups = named(template, 'AWS::ElasticLoadBalancingV2::TargetGroup');
      const roles = resourcesOf(template, 'AWS::IAM::Role').filter(({ id }) => id.includes('InfrastructureRole'));
      expect(roles).toHaveLength(1);
      const advanced = (group: string, rule: string) => ({
        AlternateTargetGroupArn: { Ref: groups[group]!.id },
        ProductionListenerRule: { Ref: rules[rule]!.id },
        RoleArn: { 'Fn::GetAtt': [roles[0]!.id, 'Arn'] },
      });
      expect(LoadBalancers.map(({ AdvancedConfiguration }: any) => AdvancedConfiguration)).toEqual([
        advanced('AlternateTargetGroup', 'ProductionRule'),
        advanced('AlternateGrpcTargetGroup', 'GrpcRule'),
      ]);
      expect(service.alternateTargetGroups).toHaveLength(2);
    });

    test(`${kind}: every action of the listener forwards, to constants alone`, () => {
      const { template } = serve(newStack(), { rollout: rollout({ smokeTest: true }), grpc: true });
      const actions = [
        ...resourcesOf(template, 'AWS::ElasticLoadBalancingV2::Listener').flatMap(
          ({ Properties }) => Properties.DefaultActions,
        ),
        ...resourcesOf(template, 'AWS::ElasticLoadBalancingV2::ListenerRule').flatMap(
          ({ Properties }) => Properties.Actions,
        ),
      ];
      expect(new Set(actions.map(({ Type }) => Type))).toEqual(new Set(['forward']));
      for (const { ForwardConfig } of actions.filter((action) => action.ForwardConfig)) {
        expect(ForwardConfig.TargetGroups.map(({ Weight }: any) => Weight)).toEqual([100, 0]);
      }
    });

    test(`${kind}: a new revision changes no rule, whose weights AWS would set back`, () => {
      const rulesOf = (revision: string): unknown => {
        const { template } = serve(newStack(), {
          rollout: rollout({ smokeTest: true }),
          environment: { REVISION: revision },
        });
        return [
          template.findResources('AWS::ElasticLoadBalancingV2::ListenerRule'),
          template.findResources('AWS::ElasticLoadBalancingV2::Listener'),
        ];
      };
      expect(rulesOf('one')).toEqual(rulesOf('two'));
    });
  }

  test('only ECS may take the role that shifts traffic, and only for this account', () => {
    const { template } = serve(newStack(), { rollout: KINDS.canary() });
    const [role] = resourcesOf(template, 'AWS::IAM::Role').filter(({ id }) => id.includes('InfrastructureRole'));
    expect(role!.Properties.AssumeRolePolicyDocument.Statement).toEqual([
      {
        Action: 'sts:AssumeRole',
        Effect: 'Allow',
        Principal: { Service: 'ecs.amazonaws.com' },
        Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } },
      },
    ]);
    expect(JSON.stringify(role!.Properties.ManagedPolicyArns)).toContain(
      'AmazonECSInfrastructureRolePolicyForLoadBalancers',
    );
  });

  test('alarms of errors and latency roll back, and none that waits for the service', () => {
    for (const rollout of [KINDS.canary(), Rollout.rolling()]) {
      const { template } = serve(newStack(), { rollout });
      const { Alarms } = deployment(template);
      expect(Alarms).toMatchObject({ Enable: true, Rollback: true });
      const watched = Alarms.AlarmNames.map(({ Ref }: any) => Ref);
      expect(watched.map((id: string) => id.replace(/^DigitsAlarms|[0-9A-F]{8}$/g, ''))).toEqual([
        'ServerErrors',
        'Latency',
      ]);
      const service = theOnly(template, 'AWS::ECS::Service').id;
      for (const id of watched) {
        const alarm = template.findResources('AWS::CloudWatch::Alarm')[id];
        expect(JSON.stringify(alarm)).not.toContain(service);
      }
    }
  });

  test('shifted traffic is watched in development too, and a rolling rollout only where alarms are made', () => {
    const alarmsOf = (props: Partial<InferenceServiceProps>): unknown => {
      const { template } = serve(newStack(), { preset: 'development', ...props });
      return deployment(template).Alarms?.Enable ?? false;
    };
    expect(alarmsOf({ rollout: KINDS.canary() })).toBe(true);
    expect(alarmsOf({ rollout: KINDS.canary({ alarmRollback: false }) })).toBe(false);
    expect(alarmsOf({ rollout: Rollout.rolling() })).toBe(false);
    expect(alarmsOf({ alarms: true })).toBe(true);
    expect(alarmsOf({ alarms: true, rollout: Rollout.rolling({ alarmRollback: false }) })).toBe(false);
  });

  test('errors and latency are those of both revisions', () => {
    const { template } = serve(newStack(), { rollout: KINDS.canary() });
    const alarms = named(template, 'AWS::CloudWatch::Alarm');
    for (const id of ['AlarmsServerErrors', 'AlarmsLatency', 'AlarmsMissingReplicas']) {
      const text = JSON.stringify(alarms[id]!.Properties.Metrics);
      for (const group of Object.values(named(template, 'AWS::ElasticLoadBalancingV2::TargetGroup'))) {
        expect(text).toContain(group.id);
      }
    }
  });

  test('without shifted traffic there is one target group, and no role for it', () => {
    const { template } = serve(newStack());
    template.resourceCountIs('AWS::ElasticLoadBalancingV2::TargetGroup', 1);
    template.resourceCountIs('AWS::ElasticLoadBalancingV2::ListenerRule', 0);
    expect(JSON.stringify(template.findResources('AWS::IAM::Role'))).not.toContain('ecs.amazonaws.com');
  });

  test('a circuit breaker stays on beside the alarms', () => {
    expect(deployment(serve(newStack(), { rollout: KINDS.canary() }).template).DeploymentCircuitBreaker).toEqual({
      Enable: true,
      Rollback: true,
      ThresholdConfiguration: { Type: 'COUNT', Value: 3 },
    });
  });
});

test('a share, a wait or a test that AWS would not take is refused, with what it takes', () => {
  expect(() => Rollout.canary({ percent: 0, bake: TEN })).toThrow(
    'ROLLOUT_RANGE rollout.percent: must be from 0.1 to 100 in steps of 0.1, got 0',
  );
  expect(() => Rollout.canary({ percent: 0.25, bake: TEN })).toThrow('got 0.25');
  expect(() => Rollout.linear({ percent: 2, every: TEN })).toThrow('must be from 3 to 100 in steps of 0.1, got 2');
  expect(() => Rollout.blueGreen({ bake: Duration.days(2) })).toThrow(
    'ROLLOUT_RANGE rollout.bake: must be whole minutes up to 1440, got 2880 minutes',
  );
  expect(() => Rollout.blueGreen({ bake: Duration.seconds(330) })).toThrow('got 5.5 minutes');
  expect(() => KINDS.canary({ smokeTest: { timeout: Duration.minutes(16) } })).toThrow(
    'ROLLOUT_RANGE rollout.smokeTest.timeout: must be over 0 and at most 15 minutes',
  );
  expect(() =>
    newFargateService(newStack(), { plaintextInsideVpc: true, spareReplica: false, rollout: KINDS.canary() }),
  ).toThrow('ROLLOUT_RANGE spareReplica: got false, but a canary rollout runs both revisions side by side');
});

test('a bake that ends before an alarm goes off is refused, unless no alarm is to roll back', () => {
  const bake = Duration.minutes(3);
  expect(() => Rollout.blueGreen({ bake })).toThrow(
    'ROLLOUT_BAKE_TOO_SHORT rollout.bake: alarms take 5 minutes to go off and could roll nothing back after 3',
  );
  expect(() => Rollout.canary({ percent: 10, bake: TEN, finalBake: bake })).toThrow(
    'ROLLOUT_BAKE_TOO_SHORT rollout.finalBake',
  );
  expect(() => Rollout.linear({ percent: 10, every: TEN, finalBake: bake })).toThrow(
    'ROLLOUT_BAKE_TOO_SHORT rollout.finalBake',
  );
  expect(() => Rollout.blueGreen({ bake, alarmRollback: false })).not.toThrow();
});

test('alarms that shall roll back and shall not be made are refused', () => {
  expect(() =>
    newFargateService(newStack(), { plaintextInsideVpc: true, alarms: false, rollout: KINDS.canary() }),
  ).toThrow('ROLLOUT_WITHOUT_ALARMS alarms: got false, and the rollout is to be rolled back by alarms');
});

test('machines for half of the replicas that run side by side are warned of', () => {
  const warned = (maxSize: number): number => {
    const stack = newStack();
    const cluster = newCluster(stack);
    const capacity = new GpuInstanceGroup(stack, 'L4', {
      cluster,
      instanceTypes: ['g6.xlarge'],
      machineImage: GpuMachineImage.amazonLinux2023({ pinnedParameter: '/team/gpu-image/2026-11-01' }),
      maxSize,
    });
    newFargateService(stack, {
      plaintextInsideVpc: true,
      cluster,
      capacity,
      maxReplicas: 4,
      rollout: KINDS.blueGreen(),
    });
    return Annotations.fromStack(stack).findWarning('*', Match.stringLikeRegexp('4 replicas need 8 during a rollout'))
      .length;
  };
  expect([warned(7), warned(8)]).toEqual([1, 0]);
});

test('a shared listener that answers by itself is warned of, once its author shifts traffic there', () => {
  const warned = (props: Partial<InferenceServiceProps>): number => {
    const stack = newStack();
    const listener = newSharedListener(stack);
    newFargateService(stack, { cluster: clusterOf(stack), listener, priority: 1, path: '/v2/*', ...props });
    return Annotations.fromStack(stack).findWarning('*', Match.stringLikeRegexp('shared-listener-actions')).length;
  };
  expect(warned({ rollout: KINDS.canary() })).toBe(1);
  expect(warned({ rollout: KINDS.canary(), acceptUnverifiedListenerActions: true })).toBe(0);
  expect(warned({})).toBe(0);
});

test('a smoke test that could not ask is refused', () => {
  const smokeTest = true;
  const stack = newStack();
  const listener = newSharedListener(stack);
  expect(() =>
    newFargateService(stack, {
      cluster: clusterOf(stack),
      listener,
      priority: 1,
      path: '/v2/*',
      rollout: KINDS.canary({ smokeTest }),
    }),
  ).toThrow(
    'LISTENER_CHOICE rollout.smokeTest: a smoke test asks through a listener that the shared load balancer does not have',
  );
});
