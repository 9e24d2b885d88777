import { CfnResource, type IAspect, type Stack } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';
import { integer } from '../runtime/spec/numbers';
import { gpusOfService, gpuTypesIn, mayBeSpot, typesOf } from './validation/ecs-view';
import type { CloudFormationTemplate } from './validation/finding';
import { namedTypes } from './validation/named-types';
import { idsIn, numbersAt, TemplateView, textsAt, type Resource } from './validation/template-view';

export interface CostGuardProps {
  /**
   * Most machines with GPUs, all Auto Scaling groups and EKS node groups of the guarded scope together, at their largest.
   * Managed Instances and Batch count no machines: there, limit replicas and vCPUs.
   * @default - any number
   */
  readonly maxGpuMachines?: number;
  /** Most replicas that one service or endpoint may be scaled to. @default - any number */
  readonly maxReplicas?: number;
  /** Machine types that nobody may ask for; `*` stands for anything: `p5.*`. @default - none */
  readonly forbidTypes?: readonly string[];
  /**
   * Whether what has GPUs must be able to shrink: groups whose smallest size is less than their largest, and ECS services
   * that are scaled.
   * @default false
   */
  readonly requireScaleIn?: boolean;
  /** Machines with GPUs that a group may have without taking spot ones. @default - any number */
  readonly onDemandAbove?: number;
}

/**
 * Refuses to synthesize what could cost more than it may: an aspect for any scope of any CDK app, with or without our
 * constructs. It knows no prices, but sizes, and reads plain numbers alone: what only deployment knows is not guarded.
 *
 * @example
 * Aspects.of(app).add(new CostGuard({ maxGpuMachines: 8, forbidTypes: ['p*'], requireScaleIn: true }));
 */
export class CostGuard implements IAspect {
  private readonly guarded = new WeakSet<IConstruct>();

  constructor(private readonly props: CostGuardProps) {
    integer('maxGpuMachines', props.maxGpuMachines, 0, 0, 1_000_000);
    integer('maxReplicas', props.maxReplicas, 0, 0, 1_000_000);
    integer('onDemandAbove', props.onDemandAbove, 0, 0, 1_000_000);
  }

  visit(node: IConstruct): void {
    // The scope that the guard was added to comes first; what is below it is looked at with it, when everything is there.
    if (node.node.scopes.some((scope) => this.guarded.has(scope))) return;
    this.guarded.add(node);
    node.node.addValidation({ validate: () => this.check(node) });
  }

  private check(scope: IConstruct): string[] {
    const stacks = templatesBelow(scope);
    return [
      ...this.tooManyMachines(stacks),
      ...stacks.flatMap((stack) => [
        ...this.tooManyReplicas(stack),
        ...this.forbiddenTypes(stack),
        ...this.neverScaledIn(stack),
        ...this.neverSpot(stack),
      ]),
    ];
  }

  private tooManyMachines(stacks: readonly GuardedStack[]): readonly string[] {
    const { maxGpuMachines: limit } = this.props;
    const groups = stacks.flatMap((stack) =>
      gpuGroups(stack).map((group) => ({ ...group, path: stack.pathOf(group.resource) })),
    );
    const total = groups.reduce((sum, { max }) => sum + max, 0);
    if (limit === undefined || total <= limit) return [];
    const parts = groups.map(({ path, max }) => `${max} in ${path}`).join(', ');
    return [
      `${total} machines with GPUs at most (${parts}), and maxGpuMachines is ${limit}: lower maxSize, or raise the limit`,
    ];
  }

  private tooManyReplicas(stack: GuardedStack): readonly string[] {
    const { maxReplicas: limit } = this.props;
    if (limit === undefined) return [];
    return stack.view.all('AWS::ApplicationAutoScaling::ScalableTarget').flatMap((target) => {
      const [most] = numbersAt(target.Properties, 'MaxCapacity');
      if (most === undefined || most <= limit) return [];
      return [
        `${stack.pathOf(target)}: may have ${most} replicas, and maxReplicas is ${limit}: lower its maximum, or raise the limit`,
      ];
    });
  }

  private forbiddenTypes(stack: GuardedStack): readonly string[] {
    const patterns = (this.props.forbidTypes ?? []).map((pattern) => ({ pattern, matches: globOf(pattern) }));
    return namedTypes(stack.view).flatMap(({ resource, types }) =>
      types.flatMap((type) => {
        const forbidden = patterns.find(({ matches }) => matches.test(type.replace(/^ml\./, '')));
        if (forbidden === undefined) return [];
        return [
          `${stack.pathOf(resource)}: asks for ${type}, and forbidTypes has ${forbidden.pattern}: take another type`,
        ];
      }),
    );
  }

  private neverScaledIn(stack: GuardedStack): readonly string[] {
    if (this.props.requireScaleIn !== true) return [];
    const targets = stack.view.all('AWS::ApplicationAutoScaling::ScalableTarget');
    const fixed = gpuGroups(stack).filter(({ min, max }) => min === max && max > 0);
    const unscaled = stack.view
      .all('AWS::ECS::Service')
      .filter((service) => gpusOfService(service, stack.view) > 0)
      .filter((service) => !targets.some(({ Properties }) => idsIn(Properties?.['ResourceId']).has(service.id)));
    return [
      ...fixed.map(
        ({ resource, max }) =>
          `${stack.pathOf(resource)}: always has ${max} machines with GPUs: let minSize be less than maxSize`,
      ),
      ...unscaled.map(
        (service) => `${stack.pathOf(service)}: has GPUs and is not scaled, so that its machines never go: scale it`,
      ),
    ];
  }

  private neverSpot(stack: GuardedStack): readonly string[] {
    const { onDemandAbove: limit } = this.props;
    if (limit === undefined) return [];
    return gpuGroups(stack).flatMap(({ resource, max, spot }) => {
      if (max <= limit || spot) return [];
      return [
        `${stack.pathOf(resource)}: has up to ${max} machines with GPUs on demand alone, and onDemandAbove is ${limit}: take spot ones above a base`,
      ];
    });
  }
}

interface GuardedStack {
  readonly view: TemplateView;
  readonly pathOf: (resource: Resource) => string;
}

interface GpuGroup {
  readonly resource: Resource;
  readonly min: number;
  readonly max: number;
  readonly spot: boolean;
}

/** What each stack below a scope would have in its template, if it held the resources of that scope alone. */
function templatesBelow(scope: IConstruct): readonly GuardedStack[] {
  const byStack = new Map<Stack, CfnResource[]>();
  for (const node of scope.node.findAll()) {
    if (!CfnResource.isCfnResource(node)) continue;
    const resources = byStack.get(node.stack);
    if (resources === undefined) byStack.set(node.stack, [node]);
    else resources.push(node);
  }
  return [...byStack].map(([stack, nodes]) => {
    const paths = new Map(nodes.map((node) => [String(stack.resolve(node.logicalId)), node.node.path]));
    const fragments = nodes.map((node) => stack.resolve(node._toCloudFormation()) as CloudFormationTemplate);
    const resources = Object.fromEntries(fragments.flatMap(({ Resources = {} }) => Object.entries(Resources)));
    const view = new TemplateView({ Resources: resources });
    return { view, pathOf: ({ id }) => paths.get(id) ?? id };
  });
}

function gpuGroups({ view }: GuardedStack): readonly GpuGroup[] {
  const groups = view.all('AWS::AutoScaling::AutoScalingGroup').map((resource) => ({
    resource,
    types: typesOf(resource, view) ?? [],
    ...sizeOf(resource.Properties),
    spot: mayBeSpot(resource, view),
  }));
  const nodegroups = view.all('AWS::EKS::Nodegroup').map((resource) => ({
    resource,
    types: textsAt(resource.Properties, 'InstanceTypes', '*'),
    ...sizeOf(resource.Properties?.['ScalingConfig']),
    spot: textsAt(resource.Properties, 'CapacityType').includes('SPOT'),
  }));
  return [...groups, ...nodegroups].filter(({ types }) => gpuTypesIn(types).length > 0);
}

function sizeOf(properties: unknown): { readonly min: number; readonly max: number } {
  return {
    min: Math.max(0, ...numbersAt(properties, 'MinSize')),
    max: Math.max(0, ...numbersAt(properties, 'MaxSize')),
  };
}

function globOf(pattern: string): RegExp {
  return new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*')}$`);
}
