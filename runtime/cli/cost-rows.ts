import { describePrices, describeUnknownCost, formatUsd, isKnownCost, planServiceCost, type Cost } from '../spec/cost';
import type { InferenceServicePlan } from '../spec/inference-service-plan';
import type { PriceOverrides, PriceRange } from '../spec/prices';

/** What the machines of a service cost, as rows of its plan: what, how much, and how that was counted. */
export function costRows(plan: InferenceServicePlan, overrides: PriceOverrides): [string, string, string][] {
  const cost = planServiceCost(plan, { overrides });
  if (cost === undefined) return [['machines', 'no price known', 'no instance types named']];
  if (!isKnownCost(cost)) return [['machines', 'no price known', `${describeUnknownCost(cost)}; say --price type=USD`]];
  const given = plan.resources.instanceTypes.some((type) => Object.hasOwn(overrides, type));
  const prices = given && cost.tables.length > 0 ? `${describePrices(cost)}, and as given` : describePrices(cost);
  const onSpot = given ? undefined : planServiceCost(plan, { spot: true });
  const spotRow = (label: string, range: (cost: Cost) => PriceRange): [string, string, string][] =>
    onSpot !== undefined && isKnownCost(onSpot)
      ? [[label, `${formatUsd(range(onSpot))} an hour`, 'where spot machines are to be had']]
      : [];
  return [
    ['at min replicas', `${formatUsd(cost.perHourAtMin)} an hour`, `machines alone; ${prices}`],
    ...spotRow('  on spot', ({ perHourAtMin }) => perHourAtMin),
    ['at max replicas', `${formatUsd(cost.perHourAtMax)} an hour`, 'the same'],
    ...spotRow('  on spot', ({ perHourAtMax }) => perHourAtMax),
    ['idle', `${formatUsd(cost.idlePerDay)} a day`, '24 hours at min replicas'],
    ['scale to zero', `saves ${formatUsd(cost.savedPerDayByZero)} a day`, savedFrom(cost)],
  ];
}

function savedFrom({ scalesToZero }: Cost): string {
  return scalesToZero ? 'against one machine that always runs' : 'a day without requests, were min replicas 0';
}
