import * as pulumi from '@pulumi/pulumi';
import * as alibaba from '../../../pulumi/alibaba';
import * as tencent from '../../../pulumi/tencent';

// What a value that only the update knows may be wrong with: one mistake in each run.
const late = new alibaba.ModelBucket('late').uri.apply(() => 'cn-beijing');
const network = { vpcId: 'vpc-1', subnetIds: ['subnet-a'], securityGroupIds: ['sg-1'] };
const issuer = { oidcIssuerUrl: 'https://issuer.example.com', oidcProviderArn: 'acs:ram::1:oidc-provider/a' };

const MISTAKES: Readonly<Record<string, () => unknown>> = {
  alibabaRegions: () =>
    new alibaba.WorkloadIdentity('reader', {
      cluster: { id: 'c1', vswitchIds: ['vsw-a'], ...issuer },
      namespace: 'inference',
      reads: [
        { name: 'digits', bucket: { name: 'a', region: 'cn-hangzhou' } },
        { name: 'resnet', bucket: { name: 'b', region: late } },
      ],
    }),
  tencentRegions: () =>
    new tencent.WorkloadIdentity('reader', {
      cluster: { id: 'cls-1', region: 'ap-guangzhou', ownerUin: '1', ...issuer, ...network },
      namespace: 'inference',
      reads: [
        { name: 'digits', bucket: { name: 'a-1250000000', region: 'ap-guangzhou', appId: '1250000000' } },
        { name: 'resnet', bucket: { name: 'b-1250000000', region: late, appId: '1250000000' } },
      ],
    }),
  alibabaMirror: () =>
    new alibaba.ImageRepository('images', {
      instanceId: 'cri-here',
      replicateTo: [
        { region: 'cn-shanghai', instanceId: 'cri-there', uri: late.apply(() => 'there.example.com/slipway') },
      ],
    }),
  alibabaModels: () =>
    new alibaba.WorkloadIdentity('reader', {
      cluster: { id: 'c1', vswitchIds: ['vsw-a'], ...issuer },
      namespace: 'inference',
      reads: Array.from({ length: 200 }, (_, i) => ({
        name: `model-${i}`,
        bucket: { name: late, region: 'cn-hangzhou' },
      })),
    }),
};

MISTAKES[new pulumi.Config().require('mistake')]!();
