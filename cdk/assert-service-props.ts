import * as logs from 'aws-cdk-lib/aws-logs';
import { SpecError } from '../runtime/spec';
import type { InferenceServiceProps } from './inference-service-props';
import { assertListenerProtocol } from './listener-protocol';
import type { Rollout } from './rollout';
import type { ISharedListener } from './shared-listener';

/** AWS takes priorities up to 50000, and gRPC takes the next one too. */
const MAX_PRIORITY = 49_999;

/**
 * Checks what this engine adds to the spec.
 * @param shared The listener that the author named, or the platform's.
 * @throws SpecError for the first contradiction.
 */
export function assertServiceProps(
  props: InferenceServiceProps,
  rollout: Rollout,
  shared: ISharedListener | undefined,
): void {
  if (props.loadBalancer === false) assertNoListener(props, rollout);
  else if (shared === undefined) assertOwnListener(props);
  else assertSharedListener(props, shared);
  assertGrpc(props, shared);
  assertRollout(props, rollout);
  assertLogGroup(props);
}

/** @throws SpecError CLUSTER_OR_PLATFORM unless there is exactly one of them. */
export function assertClusterOrPlatform({
  cluster,
  platform,
}: Pick<InferenceServiceProps, 'cluster' | 'platform'>): void {
  if ((cluster === undefined) !== (platform === undefined)) return;
  throw new SpecError(
    'CLUSTER_OR_PLATFORM',
    'cluster',
    `${cluster === undefined ? 'got neither a cluster nor a platform' : 'got a cluster and a platform'}; give one of them`,
  );
}

const OF_OWN_LISTENER = ['certificate', 'plaintextInsideVpc', 'exposure', 'accessLogsBucket'] as const;
const OF_SHARED_LISTENER = ['listener', 'priority', 'path'] as const;
const OF_ANY_LISTENER = [...OF_OWN_LISTENER, ...OF_SHARED_LISTENER, 'hostName', 'grpc'] as const;

function assertAbsent(
  props: InferenceServiceProps,
  words: readonly (keyof InferenceServiceProps)[],
  why: string,
): void {
  const given = words.find((word) => props[word] !== undefined);
  if (given !== undefined) throw new SpecError('LISTENER_CHOICE', given, why);
}

function assertNoListener(props: InferenceServiceProps, rollout: Rollout): void {
  if (props.serviceConnect === undefined) {
    throw new SpecError(
      'LISTENER_CHOICE',
      'loadBalancer',
      'got false, and nobody could call the service: say serviceConnect, or use AsyncInferenceService for a queue',
    );
  }
  assertAbsent(props, OF_ANY_LISTENER, 'belongs to a load balancer, and loadBalancer is false; leave one of them out');
  if (props.auth?.place === 'loadBalancer') {
    throw new SpecError(
      'LISTENER_CHOICE',
      'auth',
      'asks at a load balancer, and loadBalancer is false; use Auth.jwtInReplicas or Auth.apiKeys',
    );
  }
  if (rollout.shifts || rollout.alarmRollback === true) {
    throw new SpecError(
      'ROLLOUT_WITHOUT_BALANCER',
      'rollout',
      `a ${rollout.kind} rollout ${rollout.shifts ? 'shifts traffic at a load balancer' : 'with alarmRollback watches a load balancer'}, and loadBalancer is false; use Rollout.rolling()`,
    );
  }
}

function assertOwnListener(props: InferenceServiceProps): void {
  assertAbsent(props, OF_SHARED_LISTENER, 'belongs to a shared listener; name one in listener, or leave it out');
  props.exposure?.assertCanBe(props.certificate);
  assertListenerProtocol(props);
  if (props.auth?.place === 'loadBalancer' && props.certificate === undefined) {
    throw new SpecError(
      'LISTENER_PLAINTEXT',
      'auth',
      'a load balancer checks callers over TLS alone; give a certificate, or use Auth.jwtInReplicas',
    );
  }
}

function assertSharedListener(props: InferenceServiceProps, shared: ISharedListener): void {
  const { priority, path, hostName, idleTimeoutSeconds } = props;
  assertAbsent(props, OF_OWN_LISTENER, 'is decided where the shared listener is made; leave it out here');
  if (priority === undefined || !Number.isInteger(priority) || priority < 1 || priority > MAX_PRIORITY) {
    throw new SpecError(
      'PRIORITY_MISSING',
      'priority',
      `a rule of a shared listener needs a place, a whole number from 1 to ${MAX_PRIORITY}, got ${priority ?? 'nothing'}`,
    );
  }
  if (path === undefined && hostName === undefined) {
    throw new SpecError(
      'PRIORITY_MISSING',
      'path',
      'say which requests of the shared listener are for this service, by path or by hostName',
    );
  }
  if (idleTimeoutSeconds !== undefined && idleTimeoutSeconds !== shared.idleTimeoutSeconds) {
    throw new SpecError(
      'IDLE_TIMEOUT_RANGE',
      'idleTimeoutSeconds',
      `the shared load balancer has ${shared.idleTimeoutSeconds} s, got ${idleTimeoutSeconds}; leave it out`,
    );
  }
  if (props.auth?.place === 'loadBalancer' && !shared.isTls) {
    throw new SpecError(
      'LISTENER_PLAINTEXT',
      'auth',
      'a load balancer checks callers over TLS alone, and the shared listener is plain; use Auth.jwtInReplicas',
    );
  }
}

function assertGrpc({ grpc = false, certificate, hostName }: InferenceServiceProps, shared?: ISharedListener): void {
  if (!grpc) return;
  if (shared === undefined ? certificate === undefined : !shared.isTls) {
    throw new SpecError(
      'GRPC_WITHOUT_TLS',
      'grpc',
      'a load balancer takes gRPC over TLS alone; give a certificate, or have callers come through serviceConnect',
    );
  }
  if (shared !== undefined && hostName === undefined) {
    throw new SpecError(
      'GRPC_WITHOUT_HOST',
      'hostName',
      'gRPC calls of all services look alike on a shared listener; give this one a name of its own',
    );
  }
}

function assertRollout(props: InferenceServiceProps, rollout: Rollout): void {
  if (rollout.alarmRollback === true && props.alarms === false) {
    throw new SpecError(
      'ROLLOUT_WITHOUT_ALARMS',
      'alarms',
      'got false, and the rollout is to be rolled back by alarms; leave alarms out, or say alarmRollback: false',
    );
  }
  if (rollout.shifts && props.auth?.place === 'loadBalancer' && !(props.acceptUnverifiedListenerActions ?? false)) {
    throw new SpecError(
      'LISTENER_ACTION_WITH_SHIFT',
      'auth',
      `AWS may fail a ${rollout.kind} rollout on a listener that does more than forward; use Auth.jwtInReplicas, or Rollout.rolling(), or try it in an account of yours and say acceptUnverifiedListenerActions: true`,
    );
  }
  if (rollout.smokeTest !== undefined && props.auth !== undefined) {
    throw new SpecError(
      'LISTENER_ACTION_WITH_SHIFT',
      'rollout.smokeTest',
      'the smoke test has nothing to show who it is, and auth would refuse it; leave one of them out',
    );
  }
  if (rollout.smokeTest !== undefined && (props.listener ?? props.platform) !== undefined) {
    throw new SpecError(
      'LISTENER_CHOICE',
      'rollout.smokeTest',
      'a smoke test asks through a listener that the shared load balancer does not have; leave it out, or give the service a load balancer of its own',
    );
  }
}

/**
 * The scaling signal reaches CloudWatch in the log, and of other classes CloudWatch takes no metrics.
 * @throws SpecError LOG_GROUP_CLASS
 */
export function assertLogGroup({ logGroup }: Pick<InferenceServiceProps, 'logGroup'>): void {
  const resource = logGroup?.node.defaultChild;
  if (!(resource instanceof logs.CfnLogGroup)) return;
  const standard: string = logs.LogGroupClass.STANDARD;
  const { logGroupClass = standard } = resource;
  if (logGroupClass !== standard) {
    throw new SpecError(
      'LOG_GROUP_CLASS',
      'logGroup',
      `must be of class ${standard}, for CloudWatch takes the scaling metric from it, got ${logGroupClass}`,
    );
  }
}
