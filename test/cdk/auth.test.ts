import { Duration, SecretValue } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Auth, Rollout, type InferenceServiceProps } from 'slipway/cdk';
import { expect, test } from 'vitest';
import { certificateOf, clusterOf, named, newSharedListener, serve } from './support/services';
import {
  describeWithAndWithoutFlags,
  environmentOf,
  newFargateService,
  newStack,
  resourcesOf,
  theOnly,
} from './support/stacks';

const issuer = 'https://issuer.example';
const jwksEndpoint = 'https://issuer.example/jwks';
const jwt = Auth.jwt({ issuer, jwksEndpoint, claims: { scope: ['infer', 'admin'] } });
const oidc = Auth.oidc({
  issuer,
  authorizationEndpoint: `${issuer}/authorize`,
  tokenEndpoint: `${issuer}/token`,
  userInfoEndpoint: `${issuer}/me`,
  clientId: 'digits',
  clientSecret: SecretValue.secretsManager('oidc'),
});

describeWithAndWithoutFlags('who may call a service', (newStack) => {
  function listenerOf(template: Template): any {
    return theOnly(template, 'AWS::ElasticLoadBalancingV2::Listener').Properties;
  }

  test('tokens are checked by the load balancer before anything is forwarded, claims included', () => {
    const { template } = serve(newStack(), { auth: jwt });
    const [first, second, ...others] = listenerOf(template).DefaultActions;
    expect(first).toMatchObject({
      Type: 'jwt-validation',
      Order: 1,
      JwtValidationConfig: {
        Issuer: issuer,
        JwksEndpoint: jwksEndpoint,
        AdditionalClaims: [{ Format: 'string-array', Name: 'scope', Values: ['infer', 'admin'] }],
      },
    });
    expect(second).toMatchObject({ Type: 'forward', Order: 2 });
    expect(others).toEqual([]);
  });

  test('no rule lets a request past the check', () => {
    const { template } = serve(newStack(), { auth: jwt, grpc: true });
    for (const { Properties } of resourcesOf(template, 'AWS::ElasticLoadBalancingV2::ListenerRule')) {
      expect(Properties.Actions[0]).toMatchObject({
        Type: 'jwt-validation',
        JwtValidationConfig: { AdditionalClaims: [{ Name: 'scope' }] },
      });
    }
  });

  test('browsers are sent to sign in, and the secret is a reference', () => {
    const { template } = serve(newStack(), { auth: oidc });
    const [first, second] = listenerOf(template).DefaultActions;
    expect(first.Type).toBe('authenticate-oidc');
    expect(first.AuthenticateOidcConfig.ClientSecret).toBe('{{resolve:secretsmanager:oidc:SecretString:::}}');
    expect(second.Type).toBe('forward');
  });

  for (const [name, auth] of [
    ['the key set', jwt],
    ['the provider', oidc],
  ] as const) {
    test(`the load balancer may reach ${name}, and without auth nothing but replicas`, () => {
      const egress = (props: Partial<InferenceServiceProps>): unknown[] =>
        Object.entries(named(serve(newStack(), props).template, 'AWS::EC2::SecurityGroup'))
          .filter(([id]) => id.startsWith('LoadBalancer'))
          .flatMap(([, { Properties }]) => Properties.SecurityGroupEgress ?? [])
          .map(({ CidrIp, FromPort }: any) => [CidrIp, FromPort]);
      expect(egress({ auth })).toEqual([['0.0.0.0/0', 443]]);
      expect(egress({})).not.toContainEqual(['0.0.0.0/0', 443]);
    });
  }

  test('on a shared listener the rule checks, and neighbours are left alone', () => {
    const stack = newStack();
    const listener = newSharedListener(stack);
    newFargateService(stack, { cluster: clusterOf(stack), listener, priority: 3, path: '/v2/*', auth: jwt });
    const template = Template.fromStack(stack);
    expect(listenerOf(template).DefaultActions).toMatchObject([{ Type: 'fixed-response' }]);
    const rule: any = theOnly(template, 'AWS::ElasticLoadBalancingV2::ListenerRule').Properties;
    expect(rule.Actions.map(({ Type }: any) => Type)).toEqual(['jwt-validation', 'forward']);
  });

  test('replicas that check tokens are told by whom, and the load balancer only forwards', () => {
    const { template } = serve(newStack(), { auth: Auth.jwtInReplicas({ issuer, jwksEndpoint, audience: 'digits' }) });
    expect(environmentOf(template)).toMatchObject({
      SLIPWAY_JWT_JWKS: jwksEndpoint,
      SLIPWAY_JWT_ISSUER: issuer,
      SLIPWAY_JWT_AUDIENCE: 'digits',
    });
    expect(listenerOf(template).DefaultActions).toMatchObject([{ Type: 'forward' }]);
  });

  test('API keys come from a secret that the execution role may read, and are in no environment', () => {
    const stack = newStack();
    const secret = new secretsmanager.Secret(stack, 'Keys');
    const { template } = serve(stack, { auth: Auth.apiKeys(ecs.Secret.fromSecretsManager(secret)) });
    const [container] = theOnly(template, 'AWS::ECS::TaskDefinition').Properties.ContainerDefinitions;
    const { id } = theOnly(template, 'AWS::SecretsManager::Secret');
    expect(container.Secrets).toEqual([{ Name: 'SLIPWAY_API_KEYS', ValueFrom: { Ref: id } }]);
    expect(environmentOf(template)['SLIPWAY_API_KEYS']).toBeUndefined();
    const statements = resourcesOf(template, 'AWS::IAM::Policy')
      .filter((policy) => policy.id.includes('ExecutionRole'))
      .flatMap(({ Properties }) => Properties.PolicyDocument.Statement);
    expect(statements).toContainEqual(expect.objectContaining({ Resource: { Ref: id } }));
  });
});

test('a check at the load balancer needs TLS, and does not go with shifted traffic unless its author tried it', () => {
  const refused = (props: Partial<InferenceServiceProps>) => () => newFargateService(newStack(), props);
  expect(refused({ auth: jwt, plaintextInsideVpc: true })).toThrow(
    'LISTENER_PLAINTEXT auth: a load balancer checks callers over TLS alone',
  );
  const rollout = Rollout.blueGreen({ bake: Duration.minutes(10) });
  const shifted = (props: Partial<InferenceServiceProps>) => () => {
    const stack = newStack();
    return newFargateService(stack, { certificate: certificateOf(stack), rollout, ...props });
  };
  expect(shifted({ auth: jwt })).toThrow(
    'LISTENER_ACTION_WITH_SHIFT auth: AWS may fail a blueGreen rollout on a listener that does more than forward',
  );
  expect(shifted({ auth: jwt, acceptUnverifiedListenerActions: true })).not.toThrow();
  expect(shifted({ auth: Auth.jwtInReplicas({ issuer, jwksEndpoint }) })).not.toThrow();
});

test('a check on a shared listener that is plain is refused', () => {
  const stack = newStack();
  const listener = newSharedListener(stack, { isTls: false });
  expect(() =>
    newFargateService(stack, { cluster: clusterOf(stack), listener, priority: 3, path: '/v2/*', auth: jwt }),
  ).toThrow('LISTENER_PLAINTEXT auth: a load balancer checks callers over TLS alone, and the shared listener is plain');
});
