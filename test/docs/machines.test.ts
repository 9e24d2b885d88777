import { join } from 'node:path';
import { CLOUD_NAMES, CLOUDS, instanceTypesOf, lookUpInstance, PRICE_TABLES, type Cloud } from 'slipway';
import { expect, test } from 'vitest';

const ROOT = join(__dirname, '../..');

test('docs/pulumi/machines.md has every type and price; npx vitest run test/docs -u writes it anew', async () => {
  await expect([INTRODUCTION, ...CLOUDS.map(sectionOf), ''].join('\n')).toMatchFileSnapshot(
    join(ROOT, 'docs/pulumi/machines.md'),
  );
});

const INTRODUCTION = `# Machines and what they cost

The GPU machines that a plan and a \`GpuInstanceGroup\` know, on five clouds. Made from \`runtime/spec/instance-catalog/\` and
\`runtime/spec/prices.ts\`, where each table names its source and the day it was read. What no source says has no row, and a type without
a row is refused with the nearest that there are.

A GPU model has one memory, whoever rents it out: EC2's figure where EC2 reports it, else the vendor's gigabytes read as decimal ones.
Parts of a GPU have no rows, nor has a GPU that is attached to a machine of another type, as with Google's N1.

A service that names no type, and whose placement says none, is sized by the first type of AWS that fits: nobody said whose machines they
will be. Every \`GpuInstanceGroup\` says its types in its placement, so its services are sized by those.

## Cost

\`slipway plan\` prints what the machines of a service cost at the least and at the most replicas, on a day without requests, and what
scale to zero saves of that. At \`pulumi preview\` each \`GpuInstanceGroup\` says the same of its machines in one line, and a service whose
\`placement\` or \`instanceTypes\` names machines says what its share of them costs, on demand and as if nobody else's replicas were on them.

- It is the price of machines alone, at the list of one region. Disks, traffic, load balancers and the cluster come on top.
- Who pays other prices says so: \`slipway plan service.yaml --price g6.xlarge=0.61\`, and for a stack
  \`pulumi config set --path 'slipway:prices["g6.xlarge"]' 0.61\`. USD an hour.
- Of several types the cost reaches from the cheapest to the dearest. Spot is a range over the zones of the region at one moment.
- Where no price is known it says just that. There is none for Alibaba Cloud and Tencent Cloud: their lists could not be read.
- Nothing is refused, chosen or limited by a price.
`;

function sectionOf(cloud: Cloud): string {
  const table = PRICE_TABLES[cloud];
  const dated = table?.listedOn === undefined ? '' : ` of ${table.listedOn}`;
  const prices =
    table === undefined
      ? 'No prices are known.'
      : `USD an hour by the list of ${table.region}${dated}, read ${table.readOn}: ${table.source}.`;
  return [
    `## ${CLOUD_NAMES[cloud]}`,
    '',
    prices,
    '',
    '| type | GPUs | GPU memory, MiB each | vCPU | memory, GiB | on demand | spot |',
    '|---|---|---|---|---|---|---|',
    ...instanceTypesOf(cloud).map((type) => `| ${cellsOf(type, cloud).join(' | ')} |`),
    '',
  ].join('\n');
}

function cellsOf(type: string, cloud: Cloud): readonly string[] {
  const { gpu, gpuCount, gpuMemoryMiB, vcpu, memoryMiB } = lookUpInstance(type, 'type', cloud);
  const { onDemand, spot } = PRICE_TABLES[cloud]?.prices[type] ?? {};
  const onSpot = spot === undefined ? '' : spot.low === spot.high ? `${spot.low}` : `${spot.low} to ${spot.high}`;
  return [`\`${type}\``, `${gpuCount} × ${gpu}`, gpuMemoryMiB, vcpu, memoryMiB / 1_024, onDemand ?? '', onSpot].map(
    String,
  );
}
