import { DescribeSecurityGroupsCommand, DescribeSubnetsCommand, EC2Client } from '@aws-sdk/client-ec2';
import { CreateClusterCommand, ECSClient } from '@aws-sdk/client-ecs';
import type { AwsEmulator } from 'slipway/testing';

export interface Organisation {
  /** The value for a parameter that whoever deploys an example must give. @throws Error for one that nobody thought of */
  valueFor(parameter: string): string;
}

type Connection = ConstructorParameters<typeof ECSClient>[0] & { readonly region: string };

/** Makes in an emulator what an organisation has before it deploys a service: a network, a cluster, roles, a certificate. */
export async function newOrganisation(
  emulator: AwsEmulator,
  connection: Connection,
  image: string,
): Promise<Organisation> {
  const ec2 = new EC2Client(connection);
  const { Subnets } = await ec2.send(new DescribeSubnetsCommand({}));
  const { SecurityGroups } = await ec2.send(new DescribeSecurityGroupsCommand({}));
  await new ECSClient(connection).send(new CreateClusterCommand({ clusterName: 'organisation' }));
  const [certificate] = await Promise.all([
    requestCertificate(emulator, connection.region),
    createRole(emulator, connection.region, 'replicas'),
    createRole(emulator, connection.region, 'starts-replicas'),
  ]);
  const values: readonly (readonly [RegExp, string])[] = [
    [/Image$/, image],
    [/Certificate/, certificate],
    [/Bucket$/, 'models-of-the-organisation'],
    [/Key$/, `arn:aws:kms:${connection.region}:${emulator.account}:key/01234567-89ab-cdef-0123-456789abcdef`],
    [/^ClusterName$/, 'organisation'],
    [/^TaskRoleArn$/, `arn:aws:iam::${emulator.account}:role/replicas`],
    [/RoleArn$/, `arn:aws:iam::${emulator.account}:role/starts-replicas`],
    [/SecurityGroup$/, SecurityGroups![0]!.GroupId!],
    [/LogGroup$/, '/organisation/replicas'],
    [/VpcId$/, Subnets![0]!.VpcId!],
    [
      /Subnets$/,
      Subnets!
        .slice(0, 2)
        .map(({ SubnetId }) => SubnetId!)
        .join(','),
    ],
  ];
  return {
    valueFor(parameter) {
      const found = values.find(([name]) => name.test(parameter));
      if (found === undefined) throw new Error(`no value is known for parameter ${parameter}: add one here`);
      return found[1];
    },
  };
}

async function requestCertificate(emulator: AwsEmulator, region: string): Promise<string> {
  const answer = await fetch(emulator.endpoint, {
    method: 'POST',
    headers: {
      ...signedFor('acm', region),
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': 'CertificateManager.RequestCertificate',
    },
    body: JSON.stringify({ DomainName: 'models.example.com' }),
  });
  return ((await answer.json()) as { CertificateArn: string }).CertificateArn;
}

async function createRole(emulator: AwsEmulator, region: string, RoleName: string): Promise<void> {
  const AssumeRolePolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement: [] });
  const body = new URLSearchParams({ Action: 'CreateRole', Version: '2010-05-08', RoleName, AssumeRolePolicyDocument });
  await fetch(emulator.endpoint, { method: 'POST', headers: signedFor('iam', region), body });
}

/** The emulator looks for the service in the signature, and at nothing else of it. */
function signedFor(service: string, region: string): Record<string, string> {
  const scope = `test/20260101/${region}/${service}/aws4_request`;
  return { authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0` };
}
