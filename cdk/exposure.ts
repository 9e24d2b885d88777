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
}
