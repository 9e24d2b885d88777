import type { CfnResource, SecretValue } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type * as ecs from 'aws-cdk-lib/aws-ecs';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';

/** An identity provider that people sign in at, in a browser. Every endpoint is a full `https://` URL. */
export interface OidcOptions {
  readonly issuer: string;
  readonly authorizationEndpoint: string;
  readonly tokenEndpoint: string;
  readonly userInfoEndpoint: string;
  readonly clientId: string;
  /** Only by reference: `SecretValue.secretsManager(…)`. */
  readonly clientSecret: SecretValue;
}

/** Who signs the bearer tokens that callers bring. */
export interface JwtOptions {
  /** What a token must name as its issuer. */
  readonly issuer: string;
  /** `https://` URL of the issuer's key set. */
  readonly jwksEndpoint: string;
}

export interface LoadBalancerJwtOptions extends JwtOptions {
  /** Values that claims must hold, each one of those given, by the claim's name. @default - issuer, signature and time alone */
  readonly claims?: Readonly<Record<string, readonly string[]>>;
}

export interface ReplicaJwtOptions extends JwtOptions {
  /** What a token must name as its audience. @default - any */
  readonly audience?: string;
}

/** How callers show who they are. */
export abstract class Auth {
  /** The load balancer sends browsers to sign in. It must reach the provider: on the internet, or through a NAT gateway. */
  static oidc(options: OidcOptions): Auth {
    return new OidcAuth(options);
  }

  /** The load balancer checks the bearer token of every request. It must reach the key set. */
  static jwt(options: LoadBalancerJwtOptions): Auth {
    return new JwtAuth(options);
  }

  /** Replicas check the bearer token of every request, so that traffic may be shifted and gRPC is asked as well. */
  static jwtInReplicas(options: ReplicaJwtOptions): Auth {
    return new ReplicaAuth(
      {
        SLIPWAY_JWT_JWKS: options.jwksEndpoint,
        SLIPWAY_JWT_ISSUER: options.issuer,
        ...(options.audience === undefined ? {} : { SLIPWAY_JWT_AUDIENCE: options.audience }),
      },
      {},
    );
  }

  /** Replicas check API keys. @param keys what `slipway key create` printed, in a secret: a JSON list of digests */
  static apiKeys(keys: ecs.Secret): Auth {
    return new ReplicaAuth({}, { SLIPWAY_API_KEYS: keys });
  }

  /** Who asks: the load balancer before it forwards anything, or every replica by itself. */
  abstract readonly place: 'loadBalancer' | 'replicas';
  readonly environment: Readonly<Record<string, string>> = {};
  readonly secrets: Readonly<Record<string, ecs.Secret>> = {};

  /** What the load balancer does with a request before it does `next`. */
  before(next: elbv2.ListenerAction): elbv2.ListenerAction {
    return next;
  }

  /** What CDK's actions cannot say of a listener or a rule, whose actions are the property of this name. */
  complete(_listenerOrRule: CfnResource, _actions: 'DefaultActions' | 'Actions'): void {}

  /** Lets the load balancer reach whoever knows the callers. */
  connect(_loadBalancer: ec2.Connections): void {}
}

class OidcAuth extends Auth {
  readonly place = 'loadBalancer';

  constructor(private readonly options: OidcOptions) {
    super();
  }

  override before(next: elbv2.ListenerAction): elbv2.ListenerAction {
    // Egress to the provider is added by `connect`, once for all rules.
    return elbv2.ListenerAction.authenticateOidc({ ...this.options, next, allowHttpsOutbound: false });
  }

  override connect(loadBalancer: ec2.Connections): void {
    loadBalancer.allowToAnyIpv4(ec2.Port.tcp(443), 'identity provider');
  }
}

class JwtAuth extends Auth {
  readonly place = 'loadBalancer';

  constructor(private readonly options: LoadBalancerJwtOptions) {
    super();
  }

  override before(next: elbv2.ListenerAction): elbv2.ListenerAction {
    const { issuer, jwksEndpoint } = this.options;
    return elbv2.ListenerAction.authenticateJwt({ issuer, jwksEndpoint, next });
  }

  override complete(listenerOrRule: CfnResource, actions: 'DefaultActions' | 'Actions'): void {
    const claims = Object.entries(this.options.claims ?? {});
    if (claims.length === 0) return;
    listenerOrRule.addPropertyOverride(
      `${actions}.0.JwtValidationConfig.AdditionalClaims`,
      claims.map(([Name, Values]) => ({ Format: 'string-array', Name, Values })),
    );
  }

  override connect(loadBalancer: ec2.Connections): void {
    loadBalancer.allowToAnyIpv4(ec2.Port.tcp(443), 'key set of the issuer');
  }
}

class ReplicaAuth extends Auth {
  readonly place = 'replicas';

  constructor(
    override readonly environment: Readonly<Record<string, string>>,
    override readonly secrets: Readonly<Record<string, ecs.Secret>>,
  ) {
    super();
  }
}
