import type { Cloud } from './clouds';
import { SpecError } from './errors';
import { lookUpInstance } from './instance-catalog';

/** USD an hour. */
export interface PriceRange {
  readonly low: number;
  readonly high: number;
}

export interface InstancePrice {
  readonly onDemand: number;
  /** Over the zones of the region, as it was read. @default - no source for it */
  readonly spot?: PriceRange;
}

/** List prices of machines with Linux in one region, USD an hour. */
export interface PriceTable {
  readonly cloud: Cloud;
  readonly region: string;
  /** Day of the list itself. @default - the copy that was read does not say */
  readonly listedOn?: string;
  readonly readOn: string;
  readonly source: string;
  readonly prices: Readonly<Record<string, InstancePrice>>;
}

/** Prices that somebody pays instead of the list's: USD an hour by instance type. */
export type PriceOverrides = Readonly<Record<string, number>>;

/**
 * What machines cost by the list, where a source for it was found. Lists change, and nobody pays them for long: the
 * figures are for comparing and for noticing, and each says its region and day. Spot prices move by the hour.
 *
 * Without a row, and so without a known price: Alibaba Cloud, whose list is to be read only as recorded in October 2024
 * and in CNY (pkg/providers/pricing/initial-on-demand-prices.json of cloudpilot-ai/karpenter-provider-alicloud at
 * de5846d), and no rate between currencies belongs here; Tencent Cloud, of whose list no copy was found; Azure's H100
 * and Google's G4, which the copies have no figure for; Azure's spot prices, for the copy was too old for those.
 */
export const PRICE_TABLES: Partial<Record<Cloud, PriceTable>> = {
  aws: {
    cloud: 'aws',
    region: 'us-east-1',
    listedOn: '2026-02-09',
    readOn: '2026-11-22',
    source:
      'AWS Price List as recorded in karpenter-provider-aws (pkg/providers/pricing/zz_generated.pricing_aws.go at 265ee0b); spot as recorded in skypilot-catalog (catalogs/v8/aws/vms.csv at e385a0d)',
    prices: {
      'g6.xlarge': { onDemand: 0.8048, spot: { low: 0.4007, high: 0.4386 } },
      'g6.2xlarge': { onDemand: 0.9776, spot: { low: 0.4218, high: 0.5324 } },
      'g6.4xlarge': { onDemand: 1.3232 },
      'g6.8xlarge': { onDemand: 2.0144, spot: { low: 0.8253, high: 0.9178 } },
      'g6.16xlarge': { onDemand: 3.3968 },
      'g6.12xlarge': { onDemand: 4.6016, spot: { low: 1.664, high: 2.0357 } },
      'g6.24xlarge': { onDemand: 6.6752, spot: { low: 2.5244, high: 3.0217 } },
      'g6.48xlarge': { onDemand: 13.3504 },
      'g6e.xlarge': { onDemand: 1.861, spot: { low: 0.7483, high: 0.9302 } },
      'g6e.2xlarge': { onDemand: 2.24208 },
      'g6e.4xlarge': { onDemand: 3.00424, spot: { low: 0.8653, high: 1.1347 } },
      'g6e.8xlarge': { onDemand: 4.52856, spot: { low: 1.2186, high: 1.3018 } },
      'g6e.16xlarge': { onDemand: 7.57719 },
      'g6e.12xlarge': { onDemand: 10.49264, spot: { low: 3.2906, high: 6.5969 } },
      'g6e.24xlarge': { onDemand: 15.06559 },
      'g6e.48xlarge': { onDemand: 30.13118 },
      'g5.xlarge': { onDemand: 1.006, spot: { low: 0.4591, high: 0.507 } },
      'g5.2xlarge': { onDemand: 1.212 },
      'g5.4xlarge': { onDemand: 1.624, spot: { low: 0.6609, high: 0.7175 } },
      'g5.8xlarge': { onDemand: 2.448, spot: { low: 0.9605, high: 1.0365 } },
      'g5.16xlarge': { onDemand: 4.096, spot: { low: 1.3933, high: 1.5713 } },
      'g5.12xlarge': { onDemand: 5.672 },
      'g5.24xlarge': { onDemand: 8.144, spot: { low: 3.0528, high: 3.5025 } },
      'g5.48xlarge': { onDemand: 16.288 },
      'g4dn.xlarge': { onDemand: 0.526, spot: { low: 0.2069, high: 0.219 } },
      'g4dn.2xlarge': { onDemand: 0.752 },
      'g4dn.4xlarge': { onDemand: 1.204 },
      'g4dn.8xlarge': { onDemand: 2.176 },
      'g4dn.16xlarge': { onDemand: 4.352 },
      'g4dn.12xlarge': { onDemand: 3.912 },
      'g4dn.metal': { onDemand: 7.824, spot: { low: 2.801, high: 3.1554 } },
      'p5.4xlarge': { onDemand: 6.88 },
      'p4d.24xlarge': { onDemand: 21.957642 },
      'p5.48xlarge': { onDemand: 55.04 },
    },
  },
  gcp: {
    cloud: 'gcp',
    region: 'us-central1',
    readOn: '2026-11-22',
    source:
      'Cloud Billing catalogue as recorded in karpenter-provider-gcp (pkg/providers/pricing/initial-prices.json at 805d5bf), GPUs and attached disks included',
    prices: {
      'g2-standard-4': { onDemand: 0.706832, spot: onePrice(0.281836) },
      'g2-standard-8': { onDemand: 0.853624, spot: onePrice(0.340572) },
      'g2-standard-12': { onDemand: 1.000416, spot: onePrice(0.399308) },
      'g2-standard-16': { onDemand: 1.147208, spot: onePrice(0.458044) },
      'g2-standard-32': { onDemand: 1.734376, spot: onePrice(0.692988) },
      'g2-standard-24': { onDemand: 2.000833, spot: onePrice(0.798616) },
      'g2-standard-48': { onDemand: 4.001665, spot: onePrice(1.597232) },
      'g2-standard-96': { onDemand: 8.00333, spot: onePrice(3.194464) },
      'a2-highgpu-1g': { onDemand: 3.673385, spot: onePrice(1.80385) },
      'a2-highgpu-2g': { onDemand: 7.34677, spot: onePrice(3.6077) },
      'a2-highgpu-4g': { onDemand: 14.69354, spot: onePrice(7.2154) },
      'a2-highgpu-8g': { onDemand: 29.38708, spot: onePrice(14.4308) },
      'a2-megagpu-16g': { onDemand: 55.739504, spot: onePrice(27.34384) },
      'a2-ultragpu-1g': { onDemand: 5.068798, spot: onePrice(2.526725) },
      'a2-ultragpu-2g': { onDemand: 10.137596, spot: onePrice(5.05345) },
      'a2-ultragpu-4g': { onDemand: 20.275192, spot: onePrice(10.106901) },
      'a2-ultragpu-8g': { onDemand: 40.550383, spot: onePrice(20.213802) },
      'a3-highgpu-1g': { onDemand: 11.06125, spot: onePrice(3.899586) },
      'a3-highgpu-2g': { onDemand: 22.1225, spot: onePrice(7.799173) },
      'a3-highgpu-4g': { onDemand: 44.245, spot: onePrice(15.598346) },
      'a3-highgpu-8g': { onDemand: 88.49, spot: onePrice(31.196691) },
    },
  },
  azure: {
    cloud: 'azure',
    region: 'eastus',
    readOn: '2026-11-22',
    source: 'Azure Retail Prices as recorded in skypilot-catalog (catalogs/v5/azure/vms.csv at 80b37e8)',
    prices: {
      Standard_NC4as_T4_v3: { onDemand: 0.526 },
      Standard_NC8as_T4_v3: { onDemand: 0.752 },
      Standard_NC64as_T4_v3: { onDemand: 4.352 },
      Standard_NV36ads_A10_v5: { onDemand: 3.2 },
      Standard_NV36adms_A10_v5: { onDemand: 4.52 },
      Standard_NV72ads_A10_v5: { onDemand: 6.52 },
      Standard_NC24ads_A100_v4: { onDemand: 3.673 },
      Standard_NC48ads_A100_v4: { onDemand: 7.346 },
      Standard_NC96ads_A100_v4: { onDemand: 14.692 },
    },
  },
};

/**
 * @param path Where the prices stand, in the author's own names.
 * @throws SpecError UNKNOWN_INSTANCE_TYPE, NUMBER_INVALID for a price that is none.
 */
export function assertPrices(prices: PriceOverrides, path: string): void {
  for (const [type, price] of Object.entries(prices)) {
    lookUpInstance(type, path);
    if (!(Number.isFinite(price) && price >= 0 && price <= 10_000)) {
      throw new SpecError(
        'NUMBER_INVALID',
        `${path}.${type}`,
        `must be USD an hour, a number from 0 to 10000, got ${String(price)}`,
      );
    }
  }
}

/** A cloud whose spot price is the same in every zone of a region. */
function onePrice(price: number): PriceRange {
  return { low: price, high: price };
}
