import { App, Aspects, Aws, CfnResource, Stack, Token } from 'aws-cdk-lib';
import * as autoscaling from 'aws-cdk-lib/aws-autoscaling';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type { Construct } from 'constructs';
import { CostGuard, type CostGuardProps } from 'slipway/cdk';
import { describe, expect, test } from 'vitest';
import { emptyFolder } from './support/cdk-cli';

// L1s alone: the guard is for any app.
interface Size {
  readonly minSize?: string;
  readonly maxSize?: string;
  readonly onDemandPercent?: number;
}

function group(scope: Construct, id: string, type: string, size: Size = {}): autoscaling.CfnAutoScalingGroup {
  return new autoscaling.CfnAutoScalingGroup(scope, id, {
    minSize: size.minSize ?? '0',
    maxSize: size.maxSize ?? '4',
    mixedInstancesPolicy: {
      instancesDistribution: { onDemandPercentageAboveBaseCapacity: size.onDemandPercent ?? 100 },
      launchTemplate: {
        launchTemplateSpecification: { version: '1', launchTemplateId: 'lt-0123456789abcdef0' },
        overrides: [{ instanceType: type }],
      },
    },
  });
}

function service(scope: Construct, scaledTo?: number): void {
  const task = new ecs.CfnTaskDefinition(scope, 'Task', {
    requiresCompatibilities: ['EC2'],
    containerDefinitions: [{ name: 'server', image: 'server', resourceRequirements: [{ type: 'GPU', value: '1' }] }],
  });
  const made = new ecs.CfnService(scope, 'Service', { taskDefinition: task.ref });
  if (scaledTo === undefined) return;
  new CfnResource(scope, 'Target', {
    type: 'AWS::ApplicationAutoScaling::ScalableTarget',
    properties: { ResourceId: `service/cluster/${made.attrName}`, MinCapacity: 1, MaxCapacity: scaledTo },
  });
}

function synth(props: CostGuardProps, fill: (stack: Stack, other: Stack) => void): void {
  const app = new App({ outdir: emptyFolder(), analyticsReporting: false });
  fill(new Stack(app, 'Models'), new Stack(app, 'Other'));
  Aspects.of(app).add(new CostGuard(props));
  app.synth();
}

describe('the guard', () => {
  test('adds up machines with GPUs over all stacks, and says where they are', () => {
    const fill = (stack: Stack, other: Stack): void => {
      group(stack, 'L4', 'g6.xlarge', { maxSize: '6' });
      group(other, 'A10G', 'g5.xlarge', { maxSize: '3' });
      group(other, 'Web', 'm7i.large', { maxSize: '50' });
    };
    expect(() => synth({ maxGpuMachines: 8 }, fill)).toThrow(
      '9 machines with GPUs at most (6 in Models/L4, 3 in Other/A10G), and maxGpuMachines is 8',
    );
    synth({ maxGpuMachines: 9 }, fill);
  });

  test('counts node groups of EKS', () => {
    const fill = (stack: Stack): void => {
      new CfnResource(stack, 'Nodes', {
        type: 'AWS::EKS::Nodegroup',
        properties: { InstanceTypes: ['g6.xlarge'], ScalingConfig: { MinSize: 0, MaxSize: 5 } },
      });
    };
    expect(() => synth({ maxGpuMachines: 4 }, fill)).toThrow('(5 in Models/Nodes)');
  });

  test('refuses a service that may be scaled to more replicas', () => {
    expect(() => synth({ maxReplicas: 4 }, (stack) => service(stack, 5))).toThrow(
      'Models/Target: may have 5 replicas, and maxReplicas is 4',
    );
    synth({ maxReplicas: 5 }, (stack) => service(stack, 5));
  });

  test('refuses types by pattern, those of SageMaker too', () => {
    const fill = (stack: Stack): void => {
      group(stack, 'H100', 'p5.48xlarge');
      group(stack, 'L4', 'g6.xlarge');
      new CfnResource(stack, 'Config', {
        type: 'AWS::SageMaker::EndpointConfig',
        properties: { ProductionVariants: [{ InstanceType: 'ml.p5.48xlarge' }] },
      });
    };
    const message = synthError({ forbidTypes: ['p5.*'] }, fill);
    expect(message).toContain('Models/H100: asks for p5.48xlarge, and forbidTypes has p5.*');
    expect(message).toContain('Models/Config: asks for ml.p5.48xlarge');
    expect(message).not.toContain('Models/L4');
    // A dot is a dot.
    synth({ forbidTypes: ['p5*xlarg', 'p5.48xlarg.', '6.xlarge'] }, fill);
  });

  test('wants what has GPUs to be able to shrink', () => {
    const message = synthError({ requireScaleIn: true }, (stack) => {
      group(stack, 'Fixed', 'g6.xlarge', { minSize: '4', maxSize: '4' });
      group(stack, 'Shrinks', 'g6.xlarge');
      service(stack);
    });
    expect(message).toContain('Models/Fixed: always has 4 machines with GPUs');
    expect(message).toContain('Models/Service: has GPUs and is not scaled');
    expect(message).not.toContain('Models/Shrinks');
    synth({ requireScaleIn: true }, (stack) => service(stack, 3));
    synth({}, (stack) => group(stack, 'Fixed', 'g6.xlarge', { minSize: '4', maxSize: '4' }));
  });

  test('wants spot machines in groups above a size', () => {
    const fill = (stack: Stack): void => {
      group(stack, 'Large', 'g6.xlarge', { maxSize: '5' });
      group(stack, 'Small', 'g6.xlarge', { maxSize: '4' });
      group(stack, 'Spot', 'g6.xlarge', { maxSize: '9', onDemandPercent: 0 });
    };
    const message = synthError({ onDemandAbove: 4 }, fill);
    expect(message).toContain('Models/Large: has up to 5 machines with GPUs on demand alone, and onDemandAbove is 4');
    expect(message).not.toMatch(/Models\/(Small|Spot)/);
  });

  test('looks at what escape hatches wrote, and reads past nothing that only deployment knows', () => {
    expect(() =>
      synth({ maxGpuMachines: 4 }, (stack) => {
        group(stack, 'L4', 'g6.xlarge').addPropertyOverride('MaxSize', '40');
      }),
    ).toThrow('40 in Models/L4');
    synth({ maxGpuMachines: 4 }, (stack) => {
      group(stack, 'L4', 'g6.xlarge', { maxSize: Token.asString({ Ref: 'Machines' }) });
      group(stack, 'Any', Aws.NO_VALUE, { maxSize: '40' });
    });
  });

  test('guards the scope that it was added to, once', () => {
    const app = new App({ outdir: emptyFolder(), analyticsReporting: false });
    const [models, other] = [new Stack(app, 'Models'), new Stack(app, 'Other')];
    group(models, 'L4', 'g6.xlarge', { maxSize: '4' });
    group(other, 'L4', 'g6.xlarge', { maxSize: '40' });
    Aspects.of(models).add(new CostGuard({ maxGpuMachines: 4 }));
    app.synth();
    Aspects.of(other).add(new CostGuard({ maxGpuMachines: 4 }));
    expect(() => app.synth({ force: true })).toThrow('40 machines with GPUs');
  });

  test('takes whole numbers alone', () => {
    expect(() => new CostGuard({ maxReplicas: -1 })).toThrow('NUMBER_INVALID maxReplicas');
    expect(() => new CostGuard({ maxGpuMachines: 1.5 })).toThrow('NUMBER_INVALID maxGpuMachines');
    expect(() => new CostGuard({ onDemandAbove: Number.NaN })).toThrow('NUMBER_INVALID onDemandAbove');
  });
});

function synthError(props: CostGuardProps, fill: (stack: Stack, other: Stack) => void): string {
  try {
    synth(props, fill);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was found');
}
