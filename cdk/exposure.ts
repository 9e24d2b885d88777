import { Annotations } from 'aws-cdk-lib';
import type * as acm from 'aws-cdk-lib/aws-certificatemanager';
import type * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type * as wafv2 from 'aws-cdk-lib/aws-wafv2';
import type { Construct } from 'constructs';
import { SpecError } from '../runtime/spec';
import { acknowledge } from './acknowledge';
import type { Waf } from './waf';

export interface PublicExposureOptions {
  /** What stands before the load balancer; false says that nothing does, and that this was decided. */
  readonly waf: Waf | false;
}

/** Who can reach the load balancer at all. */
export class Exposure {
  /** Only from inside the VPC, and there only who is let in through `connections`. */
  static internal(): Exposure {
    return new Exposure(false, undefined);
  }

  /** The whole internet, on port 443 alone: plain HTTP is not answered, so no key or token is ever sent in the clear. */
  static public(options: PublicExposureOptions): Exposure {
    return new Exposure(true, options.waf);
  }

  private constructor(
    readonly isPublic: boolean,
    /** undefined: nobody was asked. */
    readonly waf: Waf | false | undefined,
  ) {}

  /** @throws SpecError EXPOSURE_WITHOUT_CERTIFICATE, EXPOSURE_WITHOUT_WAF for what a public load balancer needs. */
  assertCanBe(certificate: acm.ICertificate | undefined): void {
    if (!this.isPublic) return;
    if (certificate === undefined) {
      throw new SpecError(
        'EXPOSURE_WITHOUT_CERTIFICATE',
        'certificate',
        'a public load balancer speaks TLS alone; give a certificate for the name that clients call',
      );
    }
    if (this.waf === undefined) {
      throw new SpecError(
        'EXPOSURE_WITHOUT_WAF',
        'exposure.waf',
        'say what stands before a public load balancer: Waf.managed(), Waf.existing(arn), or false where nothing shall',
      );
    }
  }

  /** Puts before a public load balancer what its author chose. @returns the web ACL, where it is one of its own */
  protect(scope: Construct, loadBalancer: elbv2.IApplicationLoadBalancer): wafv2.CfnWebACL | undefined {
    if (!this.isPublic) return undefined;
    acknowledge(loadBalancer, 'EC23', 'its author said Exposure.public(), and port 443 alone is open');
    return this.waf ? this.waf.protect(scope, loadBalancer) : undefined;
  }
}

/** Warns of a service that the whole internet may call. */
export function warnWithoutAuth(service: Construct): void {
  Annotations.of(service).addWarningV2(
    'slipway:public-without-auth',
    'the whole internet may run the models: say in auth how callers show who they are',
  );
}
