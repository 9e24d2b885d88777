import { PIPELINE_RUNS_FOLDER } from '../runtime/spec/model-repository';
import { choice, expression, fail, quote, RETRY } from './states-language';

/** What the state machine of a pipeline is made from. Late-bound text stands in fields of its own, never in an expression. */
export interface PipelineDefinitionInput {
  /** Late-bound. */
  readonly partition: string;
  readonly source: {
    /** Late-bound. */
    readonly bucketName: string;
    /** Ends in a slash. */
    readonly prefix: string;
    readonly file: string;
    readonly maxBytes: number;
  };
  /** Late-bound. */
  readonly modelBucketName: string;
  /** Late-bound. */
  readonly modelRepositoryUri: string;
  readonly model: string;
  /** Commands and gates, one that publishes, then promotions. */
  readonly steps: readonly PipelineDefinitionStep[];
  /** Where each of them runs; all late-bound. */
  readonly task: {
    readonly clusterArn: string;
    /** Of steps that judge or change a candidate, and may not publish. */
    readonly taskDefinitionArn: string;
    /** Of those that publish and promote. */
    readonly publishTaskDefinitionArn: string;
    readonly containerName: string;
    readonly subnetIds: readonly string[];
    readonly securityGroupId: string;
  };
  /** Late-bound. */
  readonly rolloutArn: string;
  /** @default - nobody is asked */
  readonly approval?: { readonly topicArn: string; readonly timeoutSeconds: number };
  readonly timeoutSeconds: number;
}

export interface PipelineDefinitionStep {
  readonly kind: 'command' | 'gate' | 'publish' | 'promote';
  readonly id: string;
  readonly args: readonly string[];
  /** Of a publish: path of the model in the container. */
  readonly model?: string;
  readonly allowFailure: boolean;
  readonly timeoutSeconds: number;
}

/** One page of a listing: more files beside a model than an environment holds are refused. */
const MAX_FILES = 64;
/** ECS takes 8,192 characters of overrides, quotation marks of JSON in JSON take two. */
const MAX_SOURCE_CHARACTERS = 5_000;
/** What a cause may quote of another one. */
const MAX_CAUSE = 2_000;

/**
 * The states of a pipeline, in Amazon States Language with JSONata. Input is `{ key }` of a candidate's model file, as
 * EventBridge says it or by hand.
 *
 * Output names what became of it: `outcome` is `promoted`, or `overtaken` where a newer version came first. A failed
 * execution has one of the errors below.
 */
export function pipelineDefinition(input: PipelineDefinitionInput): object {
  return {
    Comment: `From a candidate to a version of model ${input.model} that serves: steps, publish, rollout`,
    QueryLanguage: 'JSONata',
    TimeoutSeconds: input.timeoutSeconds,
    StartAt: 'ReadInput',
    States: { ...sourceStates(input), ...stepStates(input), ...rolloutStates(input), ...endStates(input) },
  };
}

/** Which files the candidate has, and what they hold at this moment. */
function sourceStates(input: PipelineDefinitionInput): object {
  const { partition, source, modelBucketName } = input;
  const file = quote(source.file);
  return {
    ReadInput: {
      Type: 'Pass',
      Assign: {
        key: expression("$type($states.input.key) = 'string' ? $states.input.key : ''"),
        sourceBucket: source.bucketName,
        modelBucket: modelBucketName,
        run: expression(
          `${quote(`${input.model}/${PIPELINE_RUNS_FOLDER}`)} & $substring($hash($states.context.Execution.Id, 'SHA-256'), 0, 32) & '/'`,
        ),
        latest: 0,
        page: '',
      },
      Next: 'CheckInput',
    },
    CheckInput: choice('InputInvalid', [
      [
        `$substring($key, 0, ${source.prefix.length}) = ${quote(source.prefix)} and $split($key, '/')[-1] = ${file}`,
        'ListSource',
      ],
    ]),
    ListSource: {
      Type: 'Task',
      Resource: `arn:${partition}:states:::aws-sdk:s3:listObjectsV2`,
      Arguments: {
        Bucket: source.bucketName,
        Prefix: expression(folderOf(source.file)),
        Delimiter: '/',
        MaxKeys: MAX_FILES,
      },
      Assign: {
        folder: expression(folderOf(source.file)),
        bytes: expression('$sum([$states.result.Contents.Size])'),
        isTruncated: expression('$states.result.IsTruncated = true'),
        objects: expression(
          `($folder := ${folderOf(source.file)}; [$states.result.Contents[Key != $folder].{'name': $substring(Key, $length($folder)), 'etag': ETag}])`,
        ),
      },
      Output: {},
      Retry: RETRY,
      Next: 'CheckSource',
    },
    CheckSource: choice(first(input), [
      [`$not(${file} in $objects.name)`, 'SourceMissing'],
      [`$isTruncated or $length($string($objects)) > ${MAX_SOURCE_CHARACTERS}`, 'SourceHasTooManyFiles'],
      [`$bytes > ${source.maxBytes}`, 'SourceTooLarge'],
    ]),
  };
}

/** One task for each step, and before the last one the number of the version that it makes. */
function stepStates(input: PipelineDefinitionInput): object {
  const { steps } = input;
  const states = steps.map((step, i) => {
    const following = steps[i + 1];
    const next =
      step.kind === 'publish' ? afterPublish(input) : following === undefined ? 'Promoted' : entryOf(following);
    const [run, exit, failure] = [`Step${step.id}`, `Exit${step.id}`, `Failed${step.id}`];
    if (step.allowFailure) return { [run]: runTask(input, step, next, next) };
    return {
      [run]: runTask(input, step, exit, failure),
      [exit]: choice(failure, [['$exitCode = 0', next]]),
      [failure]: failed(step),
    };
  });
  return Object.assign({}, ...states, versionStates(input)) as object;
}

/** As `slipway model publish` counts: one more than the highest folder that is there, of all pages. */
function versionStates({ partition, model }: PipelineDefinitionInput): object {
  const prefix = quote(`${model}/`);
  const names = `$states.result.CommonPrefixes.Prefix.$substring($, ${model.length + 1})[$contains($, /^[1-9][0-9]{0,14}\\/$/)]`;
  return {
    ListVersions: {
      Type: 'Task',
      Resource: `arn:${partition}:states:::aws-sdk:s3:listObjectsV2`,
      Arguments: expression(
        `$merge([{'Bucket': $modelBucket, 'Prefix': ${prefix}, 'Delimiter': '/'}, $page = '' ? {} : {'ContinuationToken': $page}])`,
      ),
      Assign: {
        latest: expression(`$max($append([$latest], ${names}.$number($substringBefore($, '/'))))`),
        page: expression("$exists($states.result.NextContinuationToken) ? $states.result.NextContinuationToken : ''"),
      },
      Output: {},
      Retry: RETRY,
      Next: 'AllVersions',
    },
    AllVersions: choice('ListVersions', [["$page = ''", 'ChooseVersion']]),
    ChooseVersion: { Type: 'Pass', Assign: { version: expression('$latest + 1') }, Next: 'StepPublish' },
  };
}

function runTask(
  input: PipelineDefinitionInput,
  step: PipelineDefinitionStep,
  next: string,
  onFailure: string,
): object {
  const { partition, task } = input;
  const isJudge = step.kind === 'command' || step.kind === 'gate';
  return {
    Type: 'Task',
    Resource: `arn:${partition}:states:::ecs:runTask.sync`,
    Arguments: {
      Cluster: task.clusterArn,
      TaskDefinition: isJudge ? task.taskDefinitionArn : task.publishTaskDefinitionArn,
      LaunchType: 'FARGATE',
      NetworkConfiguration: {
        AwsvpcConfiguration: {
          Subnets: task.subnetIds,
          SecurityGroups: [task.securityGroupId],
          AssignPublicIp: 'DISABLED',
        },
      },
      Overrides: {
        ContainerOverrides: [
          {
            Name: task.containerName,
            Command: commandOf(input, step),
            Environment: environmentOf(step),
          },
        ],
      },
    },
    TimeoutSeconds: step.timeoutSeconds,
    // A task that does not say how it ended has not succeeded.
    Assign: {
      exitCode: expression(
        '$exists($states.result.Containers[0].ExitCode) ? $states.result.Containers[0].ExitCode : -1',
      ),
      failure: expression("'exit status ' & $string($states.result.Containers[0].ExitCode)"),
    },
    Output: {},
    Catch: [caught(onFailure)],
    Next: next,
  };
}

function commandOf(
  { model, modelRepositoryUri }: PipelineDefinitionInput,
  { kind, args, model: file }: PipelineDefinitionStep,
): readonly string[] {
  const version = expression('$string($version)');
  if (kind === 'promote') return ['model', 'promote', modelRepositoryUri, model, version, ...args];
  if (kind !== 'publish') return args;
  return ['model', 'publish', file!, modelRepositoryUri, '--name', model, '--version', version, ...args];
}

/** Which files a task finds, and where it leaves some. Publishing leaves a version and nothing else; a promotion reads no file. */
function environmentOf({ kind, id }: PipelineDefinitionStep): readonly object[] {
  if (kind === 'promote') return [];
  const own = kind === 'publish' ? '' : `, 'step': ${quote(id)}`;
  return [
    {
      Name: 'SLIPWAY_SOURCE',
      Value: expression("$string({'bucket': $sourceBucket, 'prefix': $folder, 'objects': $objects})"),
    },
    { Name: 'SLIPWAY_RESULTS', Value: expression(`$string({'bucket': $modelBucket, 'prefix': $run${own}})`) },
  ];
}

/** A person may look before anything serves; then CloudFormation says what became of it. */
function rolloutStates({ partition, model, rolloutArn, approval, steps }: PipelineDefinitionInput): object {
  const request = `{'model': ${quote(model)}, 'version': $version, 'source': 's3://' & $sourceBucket & '/' & $key, 'taskToken': $states.context.Task.Token}`;
  const promotion = steps.find(({ kind }) => kind === 'promote');
  return {
    ...(approval === undefined
      ? {}
      : {
          Approve: {
            Type: 'Task',
            Resource: `arn:${partition}:states:::sns:publish.waitForTaskToken`,
            Arguments: { TopicArn: approval.topicArn, Message: expression(`$string(${request})`) },
            TimeoutSeconds: approval.timeoutSeconds,
            Output: {},
            Catch: [caught('NotApproved')],
            Next: 'RollOut',
          },
        }),
    RollOut: {
      Type: 'Task',
      Resource: `arn:${partition}:states:::states:startExecution.sync:2`,
      Arguments: { StateMachineArn: rolloutArn, Input: { version: expression('$version') } },
      Assign: { outcome: expression('$states.result.Output.outcome') },
      Output: {},
      Catch: [caught('RolloutEnded')],
      Next: 'Settled',
    },
    Settled: choice('Overtaken', [
      ["$outcome = 'rolledOut'", promotion === undefined ? 'Promoted' : entryOf(promotion)],
    ]),
    RolloutEnded: choice('RolloutFailed', [[`$contains($failure, '"RolledBack"')`, 'RolledBack']]),
  };
}

function endStates({ model, source, approval }: PipelineDefinitionInput): object {
  const place = `${quote(source.prefix)} & '…' & ${quote(source.file)}`;
  const it = `'model ${model} version ' & $string($version)`;
  const end = (outcome: string): object => ({
    Type: 'Succeed',
    Output: {
      outcome,
      version: expression('$version'),
      source: expression('$key'),
      results: expression("'s3://' & $modelBucket & '/' & $run"),
    },
  });
  return {
    Promoted: end('promoted'),
    Overtaken: end('overtaken'),
    InputInvalid: fail('InputInvalid', `'input must be { "key": … } of an object ' & ${place}`),
    SourceMissing: fail('SourceMissing', "'there is no object ' & $key"),
    SourceHasTooManyFiles: fail(
      'SourceHasTooManyFiles',
      `'below ' & $folder & ' lie more files than one model has: up to ${MAX_FILES}, and ${MAX_SOURCE_CHARACTERS} characters of names'`,
    ),
    SourceTooLarge: fail(
      'SourceTooLarge',
      `'the files below ' & $folder & ' have ' & $string($bytes) & ' bytes, the task has room for ${source.maxBytes}: give it more storageGiB'`,
    ),
    ...(approval === undefined ? {} : { NotApproved: fail('NotApproved', `${it} & ' was not approved: ' & $failure`) }),
    RolledBack: fail('RolledBack', `${it} & ' was rolled back: ' & $failure`),
    RolloutFailed: fail('RolloutFailed', `${it} & ' is published and was not rolled out: ' & $failure`),
  };
}

function failed({ kind, id }: PipelineDefinitionStep): object {
  if (kind === 'promote') {
    return fail(
      'StepFailed',
      `'step ${id} ended with ' & $failure & ': version ' & $string($version) & ' serves, and its label does not say so'`,
    );
  }
  return kind === 'gate'
    ? fail('GateClosed', `'gate ${id} ended with ' & $failure & ': nothing was published'`)
    : fail('StepFailed', `'step ${id} ended with ' & $failure`);
}

function caught(next: string): object {
  return {
    ErrorEquals: ['States.ALL'],
    Assign: {
      exitCode: -1,
      failure: expression(
        `$states.errorOutput.Error & ($exists($states.errorOutput.Cause) ? ' ' & $substring($states.errorOutput.Cause, 0, ${MAX_CAUSE}) : '')`,
      ),
    },
    Output: {},
    Next: next,
  };
}

function first({ steps }: PipelineDefinitionInput): string {
  return entryOf(steps[0]!);
}

function entryOf({ kind, id }: PipelineDefinitionStep): string {
  return kind === 'publish' ? 'ListVersions' : `Step${id}`;
}

function afterPublish({ approval }: PipelineDefinitionInput): string {
  return approval === undefined ? 'RollOut' : 'Approve';
}

/** The folder of the model file: its key without the file's own name. */
function folderOf(file: string): string {
  return `$substring($key, 0, $length($key) - ${file.length})`;
}
