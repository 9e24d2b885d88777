import { MANIFEST_FILE, MANIFEST_SCHEMA } from '../runtime/spec';
import { choice, expression, fail, quote, RETRY } from './states-language';

/** What the state machine of a rollout is made from. Late-bound text stands in fields of its own, never in an expression. */
export interface RolloutDefinitionInput {
  /** Late-bound. */
  readonly partition: string;
  /** Late-bound id of the stack that is updated. */
  readonly stackId: string;
  /** Late-bound. */
  readonly bucketName: string;
  /** Of the alphabet of model names. */
  readonly model: string;
  /** Logical id of the parameter that holds version and digest. */
  readonly parameter: string;
  /** What the replicas were sized for. */
  readonly maxWeightBytes: number;
  readonly maxFileBytes: number;
  readonly timeoutSeconds: number;
  /** Late-bound. @default - the role that the stack was deployed with */
  readonly stackRoleArn?: string;
}

/** How often a stack is looked at while it is being updated. */
const POLL_SECONDS = 30;
/** Updates that somebody else's came before; each waits for the other to end. */
const MAX_ATTEMPTS = 20;
/** A state's data may take 256 KiB, and quotation marks of JSON in JSON take two bytes each. */
const MAX_MANIFEST_BYTES = 160 * 1024;

/**
 * The states of a rollout, in Amazon States Language with JSONata. Input is `{ key }` of a new manifest as EventBridge
 * says it, or `{ version }` by hand, with `force: true` to go back to an older version.
 *
 * Output names what became of it: `outcome` is `rolledOut`, `notNewer`, `overtaken` or `ignored`. A failed execution has
 * one of the errors below, and its cause says what to do.
 */
export function rolloutDefinition(input: RolloutDefinitionInput): object {
  return {
    Comment: `Rolls out new versions of model ${input.model}: an update of the stack with its own template and another version`,
    QueryLanguage: 'JSONata',
    TimeoutSeconds: input.timeoutSeconds,
    StartAt: 'ReadInput',
    States: { ...readStates(input), ...decideStates(input), ...updateStates(input), ...endStates(input) },
  };
}

/** Which version, and whether its manifest is one that this stack can run. */
function readStates({ partition, bucketName, model, maxWeightBytes, maxFileBytes }: RolloutDefinitionInput): object {
  const name = quote(model);
  const isOurs = `$parts[0] = ${name} and $count($parts) = 3 and $parts[2] = ${quote(MANIFEST_FILE)}`;
  return {
    ReadInput: {
      Type: 'Pass',
      Assign: {
        version: expression(
          `$exists($states.input.version) ? $string($states.input.version) : ($parts := $split($states.input.key, '/'); ${isOurs} ? $parts[1] : '')`,
        ),
        force: expression('$exists($states.input.force) and $states.input.force = true'),
        attempts: 0,
      },
      Next: 'CheckInput',
    },
    CheckInput: choice('InputInvalid', [
      ['$contains($version, /^[1-9][0-9]{0,14}$/)', 'ReadManifest'],
      ['$exists($states.input.key)', 'Ignored'],
    ]),
    ReadManifest: {
      Type: 'Task',
      Resource: `arn:${partition}:states:::aws-sdk:s3:getObject`,
      Arguments: {
        Bucket: bucketName,
        Key: expression(`${quote(`${model}/`)} & $version & ${quote(`/${MANIFEST_FILE}`)}`),
        // One that is larger is refused below, instead of ending the execution by its size alone.
        Range: `bytes=0-${MAX_MANIFEST_BYTES - 1}`,
      },
      Assign: {
        manifestBytes: expression("$number($substringAfter($states.result.ContentRange, '/'))"),
        digest: expression("$hash($states.result.Body, 'SHA-256')"),
        manifest: expression(
          `($whole := $number($substringAfter($states.result.ContentRange, '/')) <= ${MAX_MANIFEST_BYTES}; $read := $parse($whole ? $states.result.Body : '{}'); {'schema': $read.schema, 'name': $read.name, 'version': $read.version, 'weightBytes': $read.facts.weightBytes, 'executors': $exists($read.facts.executors) ? $read.facts.executors.all : 1, 'fileBytes': $read.facts.fileBytes})`,
        ),
      },
      Output: {},
      Retry: RETRY,
      Next: 'CheckManifest',
    },
    CheckManifest: choice('DescribeStack', [
      [`$manifestBytes > ${MAX_MANIFEST_BYTES}`, 'ManifestTooLarge'],
      [
        `$not($manifest.schema = ${quote(MANIFEST_SCHEMA)} and $manifest.name = ${name} and $string($manifest.version) = $version)`,
        'ManifestInvalid',
      ],
      [
        `$not($manifest.weightBytes * $manifest.executors <= ${maxWeightBytes} and $manifest.fileBytes <= ${maxFileBytes})`,
        'ModelLargerThanPlanned',
      ],
    ]),
  };
}

/** Whether the stack can be updated now, and whether there is anything to update. */
function decideStates({ parameter, stackRoleArn, ...input }: RolloutDefinitionInput): object {
  return {
    DescribeStack: describeStack({ ...input, parameter }, 'Decide'),
    Decide: choice('UpdateStack', [
      [IS_CHANGING, 'WaitForStack'],
      [
        "$not($stack.status in ['CREATE_COMPLETE', 'UPDATE_COMPLETE', 'UPDATE_ROLLBACK_COMPLETE', 'IMPORT_COMPLETE'])",
        'StackNotUpdatable',
      ],
      ['$not($exists($stack.current))', 'ParameterMissing'],
      ...(stackRoleArn === undefined ? ([['$not($exists($stack.roleArn))', 'StackRoleMissing']] as const) : []),
      [`$not($force) and ${CURRENT_VERSION} >= $number($version)`, 'NotNewer'],
      [`$attempts >= ${MAX_ATTEMPTS}`, 'StackBusy'],
    ]),
    WaitForStack: { Type: 'Wait', Seconds: POLL_SECONDS, Next: 'DescribeStack' },
  };
}

/** The update itself, and waiting until CloudFormation has kept it or taken it back. */
function updateStates({ partition, stackId, parameter, stackRoleArn, ...input }: RolloutDefinitionInput): object {
  // Parameters that are not named fall back to their defaults, so each is named; they are those of the stack as it is now.
  const others = `$stack.keys[$ != ${quote(parameter)}].{'ParameterKey': $, 'UsePreviousValue': true}`;
  const chosen = `{'ParameterKey': ${quote(parameter)}, 'ParameterValue': ${WANTED}}`;
  return {
    UpdateStack: {
      Type: 'Task',
      Resource: `arn:${partition}:states:::aws-sdk:cloudformation:updateStack`,
      Arguments: {
        StackName: stackId,
        UsePreviousTemplate: true,
        Parameters: expression(`[$append(${others}, ${chosen})]`),
        Capabilities: expression('$stack.capabilities'),
        ...(stackRoleArn === undefined ? {} : { RoleARN: stackRoleArn }),
      },
      Assign: { attempts: expression('$attempts + 1') },
      Output: {},
      Catch: [
        {
          ErrorEquals: ['States.TaskFailed'],
          Assign: { attempts: expression('$attempts + 1'), refusal: expression('$states.errorOutput.Cause') },
          Output: {},
          Next: 'UpdateRefused',
        },
      ],
      Next: 'Wait',
    },
    UpdateRefused: choice('StackUpdateRefused', [
      ["$contains($refusal, 'No updates are to be performed')", 'RolledOut'],
      // Somebody else's update began between the look and ours.
      ["$contains($refusal, '_IN_PROGRESS')", 'WaitForStack'],
    ]),
    Wait: { Type: 'Wait', Seconds: POLL_SECONDS, Next: 'DescribeAfter' },
    DescribeAfter: describeStack({ ...input, partition, stackId, parameter }, 'Settled'),
    Settled: choice('RolledBack', [
      [IS_CHANGING, 'Wait'],
      [`$stack.current = ${WANTED} and $not($contains($stack.status, 'FAILED'))`, 'RolledOut'],
      // The next rollout waits until this one has ended, and may have begun before we looked.
      [`$not($force) and ${CURRENT_VERSION} > $number($version)`, 'Overtaken'],
    ]),
  };
}

function endStates({ model, maxWeightBytes, maxFileBytes, stackRoleArn }: RolloutDefinitionInput): object {
  const result = { version: expression('$number($version)'), manifestSha256: expression('$digest') };
  const it = `model ${model} version `;
  return {
    RolledOut: { Type: 'Succeed', Output: { outcome: 'rolledOut', ...result } },
    NotNewer: {
      Type: 'Succeed',
      Output: { outcome: 'notNewer', ...result, runningVersion: expression(CURRENT_VERSION) },
    },
    Overtaken: {
      Type: 'Succeed',
      Output: { outcome: 'overtaken', ...result, runningVersion: expression(CURRENT_VERSION) },
    },
    Ignored: { Type: 'Succeed', Output: { outcome: 'ignored' } },
    InputInvalid: fail(
      'InputInvalid',
      quote('must be { "version": <whole number from 1 up> }, with "force": true to go back'),
    ),
    ManifestTooLarge: fail(
      'ManifestTooLarge',
      `'the manifest of ${it}' & $version & ' has ' & $manifestBytes & ' bytes, a state machine reads up to ${MAX_MANIFEST_BYTES}: deploy this version from code'`,
    ),
    ManifestInvalid: fail(
      'ManifestInvalid',
      `'${MANIFEST_FILE} of ${it}' & $version & ' is of another model, version or schema'`,
    ),
    ModelLargerThanPlanned: fail(
      'ModelLargerThanPlanned',
      `'${it}' & $version & ' has ' & $manifest.weightBytes & ' bytes of weights for each of ' & $manifest.executors & ' executors, in files of ' & $manifest.fileBytes & ', the replicas were sized for ${maxWeightBytes} in ${maxFileBytes}: deploy this version from code, which plans its size'`,
    ),
    StackNotUpdatable: fail('StackNotUpdatable', "'the stack is ' & $stack.status & ' and takes no update'"),
    ParameterMissing: fail(
      'ParameterMissing',
      quote('the stack has no parameter for the version: deploy it from code'),
    ),
    ...(stackRoleArn === undefined ? { StackRoleMissing: fail('StackRoleMissing', quote(ROLE_MISSING)) } : {}),
    StackBusy: fail('StackBusy', `'the stack was being updated each of ${MAX_ATTEMPTS} times'`),
    StackUpdateRefused: fail('StackUpdateRefused', '$refusal'),
    RolledBack: fail(
      'RolledBack',
      `'${it}' & $version & ' is not what the stack runs: ' & $stack.status & ($exists($stack.reason) ? ', ' & $stack.reason : '') & '; it runs ' & $stack.current`,
    ),
  };
}

const ROLE_MISSING =
  'the stack was deployed without a role of its own: deploy it with one, or give ModelRollout a stackRole';
const IS_CHANGING = "$contains($stack.status, '_IN_PROGRESS')";
const CURRENT_VERSION = "$number($substringBefore($stack.current, '@'))";
const WANTED = "$version & '@sha256:' & $digest";

type DescribeInput = Pick<RolloutDefinitionInput, 'partition' | 'stackId' | 'parameter'>;

function describeStack({ partition, stackId, parameter }: DescribeInput, next: string): object {
  return {
    Type: 'Task',
    Resource: `arn:${partition}:states:::aws-sdk:cloudformation:describeStacks`,
    Arguments: { StackName: stackId },
    Assign: {
      stack: expression(
        `($found := $states.result.Stacks[0]; {'status': $found.StackStatus, 'reason': $found.StackStatusReason, 'roleArn': $found.RoleARN, 'capabilities': [$found.Capabilities], 'keys': [$found.Parameters.ParameterKey], 'current': $found.Parameters[ParameterKey = ${quote(parameter)}].ParameterValue})`,
      ),
    },
    Output: {},
    Retry: RETRY,
    Next: next,
  };
}
