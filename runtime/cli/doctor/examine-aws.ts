import type { Checkup } from './checkup';
import type { AwsFacts, ServiceNeeds } from './facts';

/**
 * Quotas of EC2 on vCPUs of GPU machines, by the first letter of their types; names and codes as `aws service-quotas list-service-quotas
 * --service-code ec2` has them, https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html.
 */
export const EC2_QUOTAS = [
  { family: 'g', code: 'L-DB2E81BA', name: 'Running On-Demand G and VT instances', isSpot: false },
  { family: 'g', code: 'L-3819A6DF', name: 'All G and VT Spot Instance Requests', isSpot: true },
  { family: 'p', code: 'L-417A185B', name: 'Running On-Demand P instances', isSpot: false },
  { family: 'p', code: 'L-7212CCBC', name: 'All P4, P3 and P2 Spot Instance Requests', isSpot: true },
] as const;

export function examineAws({ account, region, quotas }: AwsFacts, needs: ServiceNeeds | undefined): readonly Checkup[] {
  return EC2_QUOTAS.flatMap(({ family, code, name, isSpot }): readonly Checkup[] => {
    const needed = needs?.awsVcpus[family];
    const value = quotas[code];
    // Without a service nobody knows which family is meant: what is zero is said, and no more.
    if ((needs !== undefined && needed === undefined) || value === undefined) return [];
    const evidence = `${name} (${code}) is ${value} vCPUs in ${region}, account ${account}`;
    const ask = (vcpus: number): string =>
      `aws service-quotas request-service-quota-increase --service-code ec2 --quota-code ${code} --desired-value ${vcpus} --region ${region}`;
    if (needed === undefined) {
      return [
        {
          code: 'aws-quota',
          severity: value === 0 ? 'note' : 'ok',
          what:
            value === 0
              ? `no ${isSpot ? 'spot' : 'on-demand'} machine of family ${family} can be started`
              : `${isSpot ? 'spot' : 'on-demand'} machines of family ${family} can be started`,
          evidence,
          ...(value === 0 ? { fix: ask(32) } : {}),
        },
      ];
    }
    if (value >= needed) {
      return [
        {
          code: 'aws-quota',
          severity: 'ok',
          what: `the quota has room for every replica on ${isSpot ? 'spot' : 'on-demand'} machines`,
          evidence: `${evidence}, the service needs ${needed}`,
        },
      ];
    }
    return [
      {
        code: 'aws-quota',
        // One of the two ways is enough, and spot is the one that is chosen.
        severity: isSpot ? 'note' : value === 0 ? 'error' : 'warning',
        what:
          value === 0
            ? `no replica can get ${isSpot ? 'a spot' : 'an on-demand'} machine`
            : `not every replica can get ${isSpot ? 'a spot' : 'an on-demand'} machine`,
        evidence: `${evidence}, the service needs ${needed} at most`,
        fix: ask(needed),
      },
    ];
  });
}
