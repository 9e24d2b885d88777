import { containerName, containersOf, gpusOf, gpusOfTask, isFargate, tasksOf } from '../ecs-view';
import { ruleAbout } from '../rule';
import { idsIn, isEverywhere, isRecord, numbersAt, textsAt, valuesAt, type TemplateView } from '../template-view';

const TASK = 'AWS::ECS::TaskDefinition';
const MAX_START_PERIOD_SECONDS = 300;
const MAX_FARGATE_STOP_SECONDS = 120;

/** Rules about task definitions and the roles of tasks. */
export const TASK_RULES = [
  ruleAbout('GPU_ON_FARGATE', TASK, 'Fargate has no GPUs.', (task) => {
    const gpus = gpusOfTask(task);
    if (!isFargate(task) || gpus === 0) return undefined;
    return `asks for ${gpus} GPU on Fargate, which has none: run it on EC2 machines or Managed Instances`;
  }),

  ruleAbout('STOP_TIMEOUT_ON_FARGATE', TASK, 'Fargate stops containers after 120 seconds at most.', (task) => {
    if (!isFargate(task)) return undefined;
    const [seconds] = numbersAt(task.Properties, 'ContainerDefinitions', '*', 'StopTimeout').filter(
      (each) => each > MAX_FARGATE_STOP_SECONDS,
    );
    if (seconds === undefined) return undefined;
    return `StopTimeout is ${seconds} s, and Fargate takes ${MAX_FARGATE_STOP_SECONDS} s at most: finish in less, or run on EC2 machines`;
  }),

  ruleAbout('START_PERIOD_TOO_LONG', TASK, 'ECS refuses a start period of more than 300 seconds.', (task) => {
    const [seconds] = numbersAt(task.Properties, 'ContainerDefinitions', '*', 'HealthCheck', 'StartPeriod').filter(
      (each) => each > MAX_START_PERIOD_SECONDS,
    );
    if (seconds === undefined) return undefined;
    return `HealthCheck.StartPeriod is ${seconds} s, and ECS takes ${MAX_START_PERIOD_SECONDS} s at most: let the check answer healthy while the model loads`;
  }),

  ruleAbout(
    'BLOCKING_LOGS',
    TASK,
    'A container that waits for its log driver stops answering when CloudWatch Logs is slow.',
    (task) => {
      const container = containersOf(task).find((each) => gpusOf(each) > 0 && hasBlockingLogs(each));
      if (container === undefined) return undefined;
      return `container '${containerName(container)}' logs by awslogs without mode non-blocking, and waits whenever CloudWatch Logs is slow: set LogConfiguration.Options mode to non-blocking and a max-buffer-size`;
    },
    'warning',
  ),

  ruleAbout(
    'UNPINNED_IMAGE',
    TASK,
    'A tag may name another image tomorrow.',
    (task) => {
      const [image] = textsAt(task.Properties, 'ContainerDefinitions', '*', 'Image').filter(
        (each) => !/@sha256:[0-9a-f]{64}$/.test(each),
      );
      if (image === undefined) return undefined;
      return `image '${image}' is named by a tag, so that a replica started tomorrow may run something else: name it by digest, …@sha256:…`;
    },
    'warning',
  ),

  ruleAbout(
    'BUCKET_WIDE_MODEL_GRANT',
    'AWS::IAM::Policy',
    'A replica reads a few keys of one bucket, and needs no list of the others.',
    (policy, template) => {
      if (!isOfTaskRole(idsIn(policy.Properties?.['Roles']), template)) return undefined;
      return bucketWideGrant(policy.Properties?.['PolicyDocument'], template);
    },
    'warning',
  ),

  ruleAbout(
    'PUBLIC_TASK',
    'AWS::ECS::Service',
    'A replica with an address of its own is reached past the load balancer.',
    (service, template) => {
      const address = textsAt(service.Properties, 'NetworkConfiguration', 'AwsvpcConfiguration', 'AssignPublicIp');
      if (!address.includes('ENABLED')) return undefined;
      if (!tasksOf(service, template).some((task) => gpusOfTask(task) > 0 || servesModels(task.Properties)))
        return undefined;
      return 'AssignPublicIp is ENABLED for replicas that serve a model: put them in private subnets, with VPC endpoints or a NAT gateway for images and logs';
    },
  ),
] as const;

function hasBlockingLogs(container: unknown): boolean {
  const [log] = valuesAt(container, 'LogConfiguration');
  return isEverywhere('awslogs', log, 'LogDriver') && !isEverywhere('non-blocking', log, 'Options', 'mode');
}

function servesModels(task: unknown): boolean {
  return textsAt(task, 'ContainerDefinitions', '*', 'Environment', '*', 'Name').includes('SLIPWAY_MODELS');
}

function isOfTaskRole(roles: ReadonlySet<string>, template: TemplateView): boolean {
  const taskRoles = template.all(TASK).flatMap((task) => [...idsIn(task.Properties?.['TaskRoleArn'])]);
  return taskRoles.some((role) => roles.has(role));
}

function bucketWideGrant(document: unknown, template: TemplateView): string | undefined {
  for (const statement of valuesAt(document, 'Statement', '*')) {
    if (!isEverywhere('Allow', statement, 'Effect') || !isRecord(statement) || statement['Condition'] !== undefined)
      continue;
    const [action] = listOfTexts(statement['Action']).filter((each) => /^s3:(\*|List|GetBucket)/.test(each));
    const [bucket] = template.referred(statement['Resource'], 'AWS::S3::Bucket');
    if (action !== undefined && bucket !== undefined) {
      return `the role of a task may ${action} on the whole bucket ${bucket.id}: grant s3:GetObject and s3:GetObjectVersion on the keys of its models`;
    }
  }
  return undefined;
}

function listOfTexts(value: unknown): readonly string[] {
  return [value].flat().filter((each): each is string => typeof each === 'string');
}
