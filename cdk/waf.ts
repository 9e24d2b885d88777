import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as wafv2 from 'aws-cdk-lib/aws-wafv2';
import type { Construct } from 'constructs';
import { integer } from '../runtime/spec/numbers';

export interface ManagedWafOptions {
  /** Requests that one address may send in five minutes, 10 to 2,000,000,000; past it, it is blocked for a while. @default 2000 */
  readonly ratePerFiveMinutes?: number;
  /** Addresses that may call; all others are blocked. @default - any address */
  readonly allowedIps?: wafv2.CfnIPSet;
}

/** A web application firewall before a public load balancer. */
export abstract class Waf {
  /**
   * One of the service's own: AWS's rules for known bad addresses, common attacks and known bad inputs, and a bound on
   * requests of one address. Rules that look into the body only count, for a tensor's bytes may spell anything and the
   * server runs none of it.
   */
  static managed(options: ManagedWafOptions = {}): Waf {
    return new ManagedWaf({
      ...options,
      ratePerFiveMinutes: integer(
        'exposure.waf.ratePerFiveMinutes',
        options.ratePerFiveMinutes,
        2_000,
        10,
        2_000_000_000,
      ),
    });
  }

  /** A regional web ACL that exists, as a platform team keeps one. */
  static existing(webAclArn: string): Waf {
    return new ExistingWaf(webAclArn);
  }

  /** Puts itself before the load balancer. @returns the web ACL, where it is the service's own */
  abstract protect(scope: Construct, loadBalancer: elbv2.IApplicationLoadBalancer): wafv2.CfnWebACL | undefined;
}

class ExistingWaf extends Waf {
  constructor(private readonly webAclArn: string) {
    super();
  }

  protect(scope: Construct, loadBalancer: elbv2.IApplicationLoadBalancer): undefined {
    associate(scope, this.webAclArn, loadBalancer);
  }
}

/** Rule groups of AWS, and those of their rules that look into the body. */
const MANAGED_RULES: Readonly<Record<string, readonly string[]>> = {
  AWSManagedRulesAmazonIpReputationList: [],
  AWSManagedRulesCommonRuleSet: [
    'SizeRestrictions_BODY',
    'EC2MetaDataSSRF_BODY',
    'GenericLFI_BODY',
    'GenericRFI_BODY',
    'CrossSiteScripting_BODY',
  ],
  AWSManagedRulesKnownBadInputsRuleSet: ['JavaDeserializationRCE_BODY', 'Log4JRCE_BODY'],
};

class ManagedWaf extends Waf {
  constructor(private readonly options: ManagedWafOptions & { readonly ratePerFiveMinutes: number }) {
    super();
  }

  protect(scope: Construct, loadBalancer: elbv2.IApplicationLoadBalancer): wafv2.CfnWebACL {
    const { allowedIps } = this.options;
    const webAcl = new wafv2.CfnWebACL(scope, 'WebAcl', {
      scope: 'REGIONAL',
      defaultAction: allowedIps === undefined ? { allow: {} } : { block: {} },
      visibilityConfig: visible('WebAcl'),
      rules: this.rules().map((rule, i) => ({ ...rule, priority: i, visibilityConfig: visible(rule.name) })),
    });
    associate(scope, webAcl.attrArn, loadBalancer);
    return webAcl;
  }

  private rules(): Omit<wafv2.CfnWebACL.RuleProperty, 'priority' | 'visibilityConfig'>[] {
    const { allowedIps, ratePerFiveMinutes } = this.options;
    return [
      {
        name: 'RequestsOfOneAddress',
        action: { block: {} },
        statement: {
          rateBasedStatement: { aggregateKeyType: 'IP', limit: ratePerFiveMinutes, evaluationWindowSec: 300 },
        },
      },
      ...Object.entries(MANAGED_RULES).map(([name, bodyRules]) => ({
        name,
        overrideAction: { none: {} },
        statement: {
          managedRuleGroupStatement: {
            vendorName: 'AWS',
            name,
            ruleActionOverrides: bodyRules.map((rule) => ({ name: rule, actionToUse: { count: {} } })),
          },
        },
      })),
      ...(allowedIps === undefined
        ? []
        : [
            {
              name: 'AllowedAddresses',
              action: { allow: {} },
              statement: { ipSetReferenceStatement: { arn: allowedIps.attrArn } },
            },
          ]),
    ];
  }
}

function associate(scope: Construct, webAclArn: string, loadBalancer: elbv2.IApplicationLoadBalancer): void {
  new wafv2.CfnWebACLAssociation(scope, 'WebAclAssociation', {
    webAclArn,
    resourceArn: loadBalancer.loadBalancerArn,
  });
}

function visible(metricName: string): wafv2.CfnWebACL.VisibilityConfigProperty {
  return { cloudWatchMetricsEnabled: true, sampledRequestsEnabled: true, metricName };
}
