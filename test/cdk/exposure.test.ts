import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import * as wafv2 from 'aws-cdk-lib/aws-wafv2';
import { Auth, Exposure, Waf, type InferenceServiceProps } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { certificateOf, serve } from './support/services';
import { describeWithAndWithoutFlags, newFargateService, newStack, resourcesOf, theOnly } from './support/stacks';

const WEB_ACL = 'AWS::WAFv2::WebACL';

describeWithAndWithoutFlags('the exposure of a service', (newStack) => {
  test('a service is internal, unless its author says otherwise', () => {
    const { template } = serve(newStack());
    expect(theOnly(template, 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties.Scheme).toBe('internal');
    template.resourceCountIs(WEB_ACL, 0);
  });

  test('in public only port 443 is open, and replicas stay in private subnets', () => {
    const { template } = serve(newStack(), { exposure: Exposure.public({ waf: Waf.managed() }) });
    const balancer = theOnly(template, 'AWS::ElasticLoadBalancingV2::LoadBalancer').Properties;
    expect(balancer.Scheme).toBe('internet-facing');
    expect(JSON.stringify(balancer.Subnets)).not.toContain('Private');
    const open = resourcesOf(template, 'AWS::EC2::SecurityGroup').flatMap(
      ({ Properties }) => Properties.SecurityGroupIngress ?? [],
    );
    expect(open.map(({ CidrIp, FromPort, ToPort }: any) => [CidrIp, FromPort, ToPort])).toEqual([
      ['0.0.0.0/0', 443, 443],
    ]);
    expect(theOnly(template, 'AWS::ElasticLoadBalancingV2::Listener').Properties.Protocol).toBe('HTTPS');
    const network = theOnly(template, 'AWS::ECS::Service').Properties.NetworkConfiguration.AwsvpcConfiguration;
    expect(network.AssignPublicIp).toBe('DISABLED');
    expect(JSON.stringify(network.Subnets)).not.toContain('Public');
  });

  test('a web ACL of its own bounds what one address sends, and only counts what it sees in tensors', () => {
    const { template, service } = serve(newStack(), {
      exposure: Exposure.public({ waf: Waf.managed({ ratePerFiveMinutes: 500 }) }),
    });
    const acl = theOnly(template, WEB_ACL);
    expect(acl.Properties).toMatchObject({ Scope: 'REGIONAL', DefaultAction: { Allow: {} } });
    const rules: any[] = acl.Properties.Rules;
    expect(rules.map(({ Priority }) => Priority)).toEqual([0, 1, 2, 3]);
    expect(rules[0]).toMatchObject({
      Action: { Block: {} },
      Statement: { RateBasedStatement: { Limit: 500, AggregateKeyType: 'IP', EvaluationWindowSec: 300 } },
    });
    const managed = rules.slice(1).map(({ Statement }) => Statement.ManagedRuleGroupStatement);
    for (const { RuleActionOverrides = [] } of managed) {
      for (const { Name, ActionToUse } of RuleActionOverrides) {
        expect(Name).toMatch(/_BODY$/);
        expect(ActionToUse).toEqual({ Count: {} });
      }
    }
    const common = managed.find(({ Name }) => Name === 'AWSManagedRulesCommonRuleSet');
    expect(common.RuleActionOverrides.map(({ Name }: any) => Name)).toContain('SizeRestrictions_BODY');
    expect(rules.slice(1).every(({ OverrideAction }) => 'None' in OverrideAction)).toBe(true);
    expect(theOnly(template, 'AWS::WAFv2::WebACLAssociation').Properties).toEqual({
      ResourceArn: { Ref: theOnly(template, 'AWS::ElasticLoadBalancingV2::LoadBalancer').id },
      WebACLArn: { 'Fn::GetAtt': [acl.id, 'Arn'] },
    });
    expect(service.webAcl).toBeDefined();
  });

  test('with a list of addresses nobody else comes through', () => {
    const stack = newStack();
    const allowedIps = new wafv2.CfnIPSet(stack, 'Ours', {
      scope: 'REGIONAL',
      ipAddressVersion: 'IPV4',
      addresses: ['192.0.2.0/24'],
    });
    const { template } = serve(stack, { exposure: Exposure.public({ waf: Waf.managed({ allowedIps }) }) });
    const { DefaultAction, Rules } = theOnly(template, WEB_ACL).Properties;
    expect(DefaultAction).toEqual({ Block: {} });
    expect(Rules.at(-1)).toMatchObject({ Action: { Allow: {} }, Statement: { IPSetReferenceStatement: {} } });
  });

  test('the web ACL of a platform team is used as it is', () => {
    const arn = 'arn:aws:wafv2:us-east-1:111122223333:regional/webacl/team/0';
    const { template } = serve(newStack(), { exposure: Exposure.public({ waf: Waf.existing(arn) }) });
    template.resourceCountIs(WEB_ACL, 0);
    expect(theOnly(template, 'AWS::WAFv2::WebACLAssociation').Properties.WebACLArn).toBe(arn);
  });
});

test('a public service needs a certificate, and a word about the firewall', () => {
  const refused = (props: Partial<InferenceServiceProps>) => () => newFargateService(newStack(), props);
  expect(refused({ exposure: Exposure.public({ waf: false }), plaintextInsideVpc: true })).toThrow(
    'EXPOSURE_WITHOUT_CERTIFICATE certificate: a public load balancer speaks TLS alone',
  );
  const stack = newStack();
  const unsaid = Exposure.public({} as unknown as { waf: false });
  expect(() => newFargateService(stack, { exposure: unsaid, certificate: certificateOf(stack) })).toThrow(
    'EXPOSURE_WITHOUT_WAF exposure.waf: say what stands before a public load balancer',
  );
  expect(() => Waf.managed({ ratePerFiveMinutes: 1 })).toThrow('NUMBER_INVALID exposure.waf.ratePerFiveMinutes');
});

test('a public service that asks nobody who they are is built with a warning', () => {
  const warnings = (props: Partial<InferenceServiceProps>): number => {
    const stack = newStack();
    serve(stack, { exposure: Exposure.public({ waf: false }), ...props });
    return Annotations.fromStack(stack).findWarning('*', Match.stringLikeRegexp('public-without-auth')).length;
  };
  expect(warnings({})).toBe(1);
  const stack = newStack();
  const keys = ecs.Secret.fromSecretsManager(secretsmanager.Secret.fromSecretNameV2(stack, 'Keys', 'keys'));
  serve(stack, { exposure: Exposure.public({ waf: false }), auth: Auth.apiKeys(keys) });
  expect(Annotations.fromStack(stack).findWarning('*', Match.stringLikeRegexp('public-without-auth'))).toEqual([]);
  expect(Template.fromStack(stack).findResources(WEB_ACL)).toEqual({});
});
