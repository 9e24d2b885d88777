import { CfnResource, Validations, type App } from 'aws-cdk-lib';

/**
 * Controls of the NIST 800-53 r5 and HIPAA packs of cdk-nag that examples do not meet, and why. The packs share these names.
 * AwsSolutions has no such list: what is accepted of it is written where it is, in constructs and examples.
 */
const ACCEPTED: readonly (readonly [rule: string, type: RegExp, reason: string])[] = [
  [
    'IAMNoInlinePolicy',
    /^AWS::IAM::/,
    'CDK writes the policy of one role beside that role, and both are deleted together',
  ],
  [
    'CloudWatchLogGroupEncrypted',
    /^AWS::Logs::LogGroup$/,
    'encrypted with the key of CloudWatch Logs; a key of one’s own is a prop',
  ],
  ['CloudWatchAlarmAction', /^AWS::CloudWatch::Alarm$/, 'an example wakes nobody at night; alarmActions is a prop'],
  [
    'VPCSubnetAutoAssignPublicIpDisabled',
    /^AWS::EC2::Subnet$/,
    'the public subnets hold NAT gateways and load balancers alone',
  ],
  [
    'VPCNoUnrestrictedRouteToIGW',
    /^AWS::EC2::Route$/,
    'the route of the public subnets, which hold NAT gateways and load balancers alone',
  ],
  [
    'VPCDefaultSecurityGroupClosed',
    /^AWS::EC2::VPC$/,
    'nothing is in the default security group, and CDK empties it by a function',
  ],
  [
    'ELBv2ACMCertificateRequired',
    /::Listener$/,
    'inside a VPC of the example’s own, without a domain; certificate is a prop',
  ],
  [
    'ALBHttpToHttpsRedirection',
    /::Listener$/,
    'inside a VPC of the example’s own, without a domain; certificate is a prop',
  ],
  ['ELBLoggingEnabled', /::LoadBalancer$/, 'an example keeps no log of who asked; accessLogsBucket is a prop'],
  ['ELBDeletionProtectionEnabled', /::LoadBalancer$/, 'a load balancer without state: deleting the stack deletes it'],
  ['ALBWAFEnabled', /::LoadBalancer$/, 'internal: reached from inside the VPC alone'],
  ['EC2IMDSv2Enabled', /::AutoScalingGroup$/, 'the launch template requires IMDSv2, where the rule does not look'],
  ['S3BucketLoggingEnabled', /^AWS::S3::Bucket$/, 'who reads models is in CloudTrail where data events are on'],
  [
    'S3BucketReplicationEnabled',
    /^AWS::S3::Bucket$/,
    'what is in it can be made again; the example multi-region shows replication',
  ],
  [
    'LambdaConcurrency',
    /^AWS::Lambda::Function$/,
    'ECS calls it once in a deployment, and an account’s share set aside for it would be missing elsewhere',
  ],
  ['LambdaDLQ', /^AWS::Lambda::Function$/, 'ECS waits for the answer, so there is no event that could be lost'],
  [
    'SageMakerEndpointConfigurationKMSKeyConfigured',
    /^AWS::SageMaker::EndpointConfig$/,
    'GPU machines encrypt their NVMe themselves, and SageMaker takes no key for it; dataKey is a prop for others',
  ],
  ['S3DefaultEncryptionKMS', /^AWS::S3::Bucket$/, 'encrypted with the key of S3; a key of one’s own is a prop'],
];

/** Acknowledges in an app what the list has, each at the resources it is about. */
export function acceptControls(app: App): void {
  for (const construct of app.node.findAll()) {
    if (!CfnResource.isCfnResource(construct)) continue;
    for (const [rule, type, reason] of ACCEPTED) {
      if (!type.test(construct.cfnResourceType)) continue;
      for (const pack of ['NIST.800.53.R5', 'HIPAA.Security']) {
        Validations.of(construct).acknowledge({ id: `${pack}::${pack}-${rule}`, reason });
      }
    }
  }
}
