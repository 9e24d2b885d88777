import * as pulumi from '@pulumi/pulumi';
import {
  assertPrices,
  describeCost,
  describeServiceCost,
  SpecError,
  type InferenceServicePlan,
  type Placement,
  type PriceOverrides,
} from '../runtime/spec';
import { decideFor } from './refusal';

/** What the `GpuInstanceGroup` of every cloud is told of its machines. */
export interface CostedGroupArgs {
  readonly instanceTypes: readonly string[];
  readonly minSize?: number;
  readonly maxSize: number;
  readonly spot?: boolean;
}

/**
 * Says at preview what a group of machines costs by the list, in one line under the component. Prices that are paid
 * instead stand in the stack's configuration: `pulumi config set --path 'slipway:prices["g6.xlarge"]' 0.61`, USD an hour.
 * Call it after the group's arguments were checked and before its first child: a price that is none is refused.
 */
export function logCost(group: pulumi.ComponentResource, args: CostedGroupArgs): void {
  if (!pulumi.runtime.isDryRun()) return;
  const { instanceTypes, minSize: minMachines = 0, maxSize: maxMachines, spot = false } = args;
  const machines = { instanceTypes, minMachines, maxMachines, spot };
  void pulumi.log.info(
    decideFor(group, () => describeCost(machines, configuredPrices())),
    group,
  );
}

/** What a service is told of its machines. */
export interface CostedServiceArgs {
  readonly instanceTypes?: readonly string[];
  readonly placement?: Placement;
}

/**
 * Says at preview what the machines cost that the replicas of a service fill, by the same prices as its group's. Nothing
 * where neither the author nor the placement names machines, which are then only those that the plan was sized for, and
 * nothing where no price is known.
 */
export function logServiceCost(
  service: pulumi.ComponentResource,
  plan: InferenceServicePlan,
  { instanceTypes, placement }: CostedServiceArgs,
): void {
  if (!pulumi.runtime.isDryRun() || (instanceTypes ?? placement?.instanceTypes) === undefined) return;
  const { sharesPerGpu = 1 } = placement ?? {};
  const line = decideFor(service, () => describeServiceCost(plan, { overrides: configuredPrices(), sharesPerGpu }));
  if (line !== undefined) void pulumi.log.info(line, service);
}

function configuredPrices(): PriceOverrides {
  const given = new pulumi.Config('slipway').getObject<unknown>('prices') ?? {};
  if (typeof given !== 'object' || Array.isArray(given)) {
    throw new SpecError(
      'NUMBER_INVALID',
      'slipway:prices',
      `must be USD an hour by instance type, got ${JSON.stringify(given).slice(0, 100)}`,
    );
  }
  // `pulumi config set --path` writes whole numbers as numbers and others as texts.
  const prices = Object.fromEntries(
    Object.entries(given).map(([type, price]: [string, unknown]) => [type, price === '' ? NaN : Number(price)]),
  );
  assertPrices(prices, 'slipway:prices');
  return prices;
}
