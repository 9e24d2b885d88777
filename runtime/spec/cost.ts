import type { InferenceServicePlan } from './inference-service-plan';
import { lookUpInstance } from './instance-catalog';
import { PRICE_TABLES, type PriceOverrides, type PriceRange, type PriceTable } from './prices';

/** How many machines of given types there are at least and at most. */
export interface MachineNumbers {
  /** Any of them may be the one that runs. */
  readonly instanceTypes: readonly string[];
  readonly minMachines: number;
  readonly maxMachines: number;
  /** @default false */
  readonly spot?: boolean;
}

/** What machines cost, in USD. Machines alone: disks, traffic and the cluster come on top. */
export interface Cost {
  readonly perHourAtMin: PriceRange;
  readonly perHourAtMax: PriceRange;
  /** A day on which nobody asks anything. */
  readonly idlePerDay: PriceRange;
  /**
   * What such a day costs less when nothing runs while nobody asks. Where that is so already: less than with one machine
   * that always runs.
   */
  readonly savedPerDayByZero: PriceRange;
  /** Whether it goes down to zero already. */
  readonly scalesToZero: boolean;
  /** Whether the prices are those of spot machines. */
  readonly spot: boolean;
  /** Tables that prices were taken from; none where all were given. */
  readonly tables: readonly PriceTable[];
}

/** Types whose price is in no table and was not given. */
export interface UnknownCost {
  readonly noPriceFor: readonly string[];
}

const HOURS_A_DAY = 24;

/** What a group of machines costs by the list, or by the prices that are given instead. */
export function planCost(machines: MachineNumbers, overrides: PriceOverrides = {}): Cost | UnknownCost {
  const { minMachines, maxMachines } = machines;
  return costOf(machines, () => ({ min: minMachines, max: maxMachines }), overrides);
}

export interface ServiceCostOptions {
  /** @default false */
  readonly spot?: boolean;
  readonly overrides?: PriceOverrides;
  /** Replicas, each with one share, that a GPU is given to. @default 1 */
  readonly sharesPerGpu?: number;
}

/**
 * What the machines of a service cost when nobody else's replicas are on them. Of types with several GPUs it counts as
 * many machines as the replicas fill.
 *
 * @returns undefined for a service that runs on whatever machine there is
 */
export function planServiceCost(
  { resources, scaling }: InferenceServicePlan,
  { spot = false, overrides = {}, sharesPerGpu = 1 }: ServiceCostOptions = {},
): Cost | UnknownCost | undefined {
  const { instanceTypes, gpuCount } = resources;
  if (instanceTypes.length === 0) return undefined;
  const machinesFor = (type: string): { min: number; max: number } => {
    const shares = lookUpInstance(type, 'type').gpuCount * sharesPerGpu;
    const places = gpuCount === 0 ? 1 : Math.max(1, Math.floor(shares / gpuCount));
    return { min: Math.ceil(scaling.minReplicas / places), max: Math.ceil(scaling.maxReplicas / places) };
  };
  return costOf({ instanceTypes, spot }, machinesFor, overrides);
}

export function isKnownCost(cost: Cost | UnknownCost): cost is Cost {
  return 'perHourAtMin' in cost;
}

function costOf(
  { instanceTypes, spot = false }: Pick<MachineNumbers, 'instanceTypes' | 'spot'>,
  machinesFor: (type: string) => { readonly min: number; readonly max: number },
  overrides: PriceOverrides,
): Cost | UnknownCost {
  const priced = instanceTypes.map((type) => ({ type, numbers: machinesFor(type), ...priceOf(type, spot, overrides) }));
  const noPriceFor = priced.filter(({ price }) => price === undefined).map(({ type }) => type);
  if (noPriceFor.length > 0) return { noPriceFor };
  const over = (count: (numbers: { readonly min: number; readonly max: number }) => number): PriceRange => ({
    low: Math.min(...priced.map(({ numbers, price }) => count(numbers) * price!.low)),
    high: Math.max(...priced.map(({ numbers, price }) => count(numbers) * price!.high)),
  });
  return {
    perHourAtMin: over(({ min }) => min),
    perHourAtMax: over(({ max }) => max),
    idlePerDay: over(({ min }) => HOURS_A_DAY * min),
    savedPerDayByZero: over(({ min }) => HOURS_A_DAY * Math.max(1, min)),
    scalesToZero: priced.every(({ numbers }) => numbers.min === 0),
    spot,
    tables: [...new Set(priced.flatMap(({ table }) => (table === undefined ? [] : [table])))],
  };
}

function priceOf(
  type: string,
  spot: boolean,
  overrides: PriceOverrides,
): { readonly price: PriceRange | undefined; readonly table?: PriceTable } {
  if (Object.hasOwn(overrides, type)) return { price: { low: overrides[type]!, high: overrides[type]! } };
  const table = PRICE_TABLES[lookUpInstance(type, 'instanceTypes').cloud];
  if (table === undefined || !Object.hasOwn(table.prices, type)) return { price: undefined };
  const { onDemand, spot: onSpot } = table.prices[type]!;
  return { price: spot ? onSpot : { low: onDemand, high: onDemand }, table };
}

/** One line about a group of machines, for people: `0 to 8 × g6.xlarge: …`. */
export function describeCost(machines: MachineNumbers, overrides: PriceOverrides = {}): string {
  const { minMachines, maxMachines, spot = false } = machines;
  const what = `${minMachines} to ${maxMachines} × ${machines.instanceTypes.join(' or ')}${spot ? ' on spot' : ''}`;
  const cost = planCost(machines, overrides);
  if (!isKnownCost(cost)) return `${what}: ${describeUnknownCost(cost, spot)}`;
  return `${what}: ${formatUsd(cost.perHourAtMin)} an hour at least, ${formatUsd(cost.perHourAtMax)} at most; ${describeIdle(cost)} (${describePrices(cost)}; machines only)`;
}

/**
 * One line about the machines that the replicas of a service fill, for people.
 * @returns undefined where no price is known, or no machine
 */
export function describeServiceCost(plan: InferenceServicePlan, options: ServiceCostOptions = {}): string | undefined {
  const cost = planServiceCost(plan, options);
  if (cost === undefined || !isKnownCost(cost)) return undefined;
  const { minReplicas, maxReplicas } = plan.scaling;
  return `its share of ${plan.resources.instanceTypes.join(' or ')}, were nobody else's replicas on them: ${formatUsd(cost.perHourAtMin)} an hour at ${replicas(minReplicas)}, ${formatUsd(cost.perHourAtMax)} at ${replicas(maxReplicas)}; ${describeIdle(cost)} (${describePrices(cost)}${cost.tables.length === 0 ? '' : ', on demand'}; machines only)`;
}

function replicas(count: number): string {
  return count === 1 ? '1 replica' : `${count} replicas`;
}

function describeIdle({ idlePerDay, scalesToZero, savedPerDayByZero }: Cost): string {
  const saved = scalesToZero
    ? `scale to zero saves ${formatUsd(savedPerDayByZero)} a day for each machine that nobody needs`
    : `scale to zero would save up to ${formatUsd(savedPerDayByZero)} a day`;
  return `idle ${formatUsd(idlePerDay)} a day, ${saved}`;
}

export function describeUnknownCost({ noPriceFor }: UnknownCost, spot = false): string {
  return `no ${spot ? 'spot price' : 'price'} known for ${noPriceFor.join(', ')}`;
}

/** Where the prices are from, with region and day. */
export function describePrices({ spot, tables }: Cost): string {
  if (tables.length === 0) return 'prices as given';
  return tables
    .map(({ region, listedOn, readOn }) => {
      if (spot) return `spot prices of ${region}, read ${readOn}`;
      return listedOn === undefined ? `list of ${region}, read ${readOn}` : `list of ${region} of ${listedOn}`;
    })
    .join(', ');
}

/** `1.61 USD`, or `1.61 to 2.24 USD`. */
export function formatUsd({ low, high }: PriceRange): string {
  const [from, to] = [low.toFixed(2), high.toFixed(2)];
  return from === to ? `${from} USD` : `${from} to ${to} USD`;
}
