import { DEFAULTS } from './defaults';
import { CONTRACT, PORTS } from './endpoints';
import { SpecError } from './errors';
import type { ExecutionProvider } from './inference-service-spec';
import type { InferenceServicePlan } from './inference-service-plan';
import type { LateBound } from './late-bound';
import { modelReferences, type ModelLocation } from './model-reference';
import { nearest } from './nearest';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

type Kind =
  | { readonly type: 'string' }
  | { readonly type: 'boolean' }
  | { readonly type: 'number'; readonly min: number; readonly max: number }
  | { readonly type: 'integer'; readonly min: number; readonly max: number }
  | { readonly type: 'choice'; readonly choices: readonly string[] };

/** One row of the environment table. */
export type EnvironmentVariable = Kind & {
  readonly variable: string;
  /** What the server does when the variable is not set. */
  readonly default?: string | number | boolean;
  /** First contract that knows it. */
  readonly since: number;
  readonly description: string;
};

const port = { type: 'integer', min: 0, max: 65_535 } as const;
const seconds = { type: 'number', min: 0, max: 86_400 } as const;

/**
 * Every variable that the server reads, keyed by the setting it becomes. The same table writes the environment of a
 * container and gives `slipway serve` its flags: `SLIPWAY_HTTP_PORT` is `--http-port`.
 */
export const ENVIRONMENT = {
  contract: {
    variable: 'SLIPWAY_CONTRACT',
    type: 'integer',
    min: 1,
    max: 1_000_000,
    default: CONTRACT,
    since: 1,
    description: 'contract the deployment was made for; a server refuses a higher one than its own',
  },
  models: {
    variable: 'SLIPWAY_MODELS',
    type: 'string',
    since: 1,
    description: 'exactly which model versions to serve: a JSON list of model references, or a file:// URI of one',
  },
  modelRepository: {
    variable: 'SLIPWAY_MODEL_REPOSITORY',
    type: 'string',
    since: 1,
    description:
      'by hand: serve the newest version of every model of this model repository (a directory, file:// or s3://)',
  },
  host: {
    variable: 'SLIPWAY_HOST',
    type: 'string',
    default: '127.0.0.1',
    since: 1,
    description: 'address to listen on; the image sets 0.0.0.0',
  },
  httpPort: {
    variable: 'SLIPWAY_HTTP_PORT',
    ...port,
    default: PORTS.http,
    since: 1,
    description: 'inference and health; 0 takes any free port and prints it',
  },
  metricsPort: {
    variable: 'SLIPWAY_METRICS_PORT',
    ...port,
    default: PORTS.metrics,
    since: 1,
    description: 'Prometheus metrics, read-only; 0 takes any free port and prints it',
  },
  executionProvider: {
    variable: 'SLIPWAY_EXECUTION_PROVIDER',
    type: 'choice',
    choices: ['cpu', 'cuda', 'tensorrt'],
    default: 'cpu',
    since: 1,
    description: 'ONNX Runtime backend',
  },
  executors: {
    variable: 'SLIPWAY_EXECUTORS',
    type: 'integer',
    min: 1,
    max: 64,
    default: 1,
    since: 1,
    description: 'sessions that run batches of one model side by side',
  },
  intraOpThreads: {
    variable: 'SLIPWAY_INTRA_OP_THREADS',
    type: 'integer',
    min: 1,
    max: 1_024,
    since: 1,
    description: 'threads of one session; by default the CPU quota of the container divided by the executors',
  },
  maxBatchSize: {
    variable: 'SLIPWAY_MAX_BATCH_SIZE',
    type: 'integer',
    min: 1,
    max: 65_536,
    default: DEFAULTS.maxBatchSize,
    since: 1,
    description: 'rows of one run, for a batchable model whose reference does not say otherwise',
  },
  queueDepthRows: {
    variable: 'SLIPWAY_QUEUE_DEPTH_ROWS',
    type: 'integer',
    min: 1,
    max: 1_000_000,
    default: DEFAULTS.maxBatchSize * DEFAULTS.queuedBatches,
    since: 1,
    description: 'rows one model may hold waiting; more is answered 429',
  },
  requestDeadlineSeconds: {
    variable: 'SLIPWAY_REQUEST_DEADLINE_SECONDS',
    ...seconds,
    min: 0.001,
    default: DEFAULTS.requestDeadlineSeconds,
    since: 1,
    description: 'longest time a request may take, waiting included; past it the answer is 504',
  },
  deregistrationLagSeconds: {
    variable: 'SLIPWAY_DEREGISTRATION_LAG_SECONDS',
    ...seconds,
    default: DEFAULTS.deregistrationLagSeconds,
    since: 1,
    description: 'after SIGTERM: not ready, but still accepting, for this long',
  },
  keepAliveSeconds: {
    variable: 'SLIPWAY_KEEP_ALIVE_SECONDS',
    ...seconds,
    default: DEFAULTS.idleTimeoutSeconds + 5,
    since: 1,
    description: 'how long an idle connection is kept; longer than the idle timeout of the load balancer in front',
  },
  maxBodyMiB: {
    variable: 'SLIPWAY_MAX_BODY_MIB',
    type: 'number',
    min: 0.001,
    max: 2_047,
    default: DEFAULTS.maxBodyMiB,
    since: 1,
    description: 'largest request body; more is answered 413',
  },
  bodyMemoryMiB: {
    variable: 'SLIPWAY_BODY_MEMORY_MIB',
    type: 'number',
    min: 0.001,
    max: 4_194_304,
    default: DEFAULTS.bodyMemoryMiB,
    since: 1,
    description: 'memory that the bodies of all requests in flight may hold; more is answered 429',
  },
  runStuckSeconds: {
    variable: 'SLIPWAY_RUN_STUCK_SECONDS',
    ...seconds,
    min: 1,
    default: 120,
    since: 1,
    description: 'a single run longer than this makes the replica not live',
  },
  startupBudgetSeconds: {
    variable: 'SLIPWAY_STARTUP_BUDGET_SECONDS',
    ...seconds,
    min: 1,
    default: 600,
    since: 1,
    description: 'time to fetch, load and prove all models; past it the process says what was missing and exits',
  },
  targetQueueSeconds: {
    variable: 'SLIPWAY_TARGET_QUEUE_SECONDS',
    ...seconds,
    min: 0.001,
    default: DEFAULTS.targetQueueSeconds,
    since: 1,
    description: 'queueing time that counts as one whole replica in the saturation signal',
  },
  cacheDirectory: {
    variable: 'SLIPWAY_CACHE_DIRECTORY',
    type: 'string',
    default: '/tmp/slipway',
    since: 1,
    description: 'where downloaded models are kept',
  },
  serviceName: {
    variable: 'SLIPWAY_SERVICE_NAME',
    type: 'string',
    default: 'slipway',
    since: 1,
    description: 'name of the service: label and dimension `service` of the saturation signal',
  },
  clusterName: {
    variable: 'SLIPWAY_CLUSTER_NAME',
    type: 'string',
    default: 'local',
    since: 1,
    description: 'name of the cluster: dimension `cluster` of the saturation signal',
  },
  cloudwatchMetrics: {
    variable: 'SLIPWAY_CLOUDWATCH_METRICS',
    type: 'boolean',
    default: false,
    since: 1,
    description: 'write the saturation signal to standard output in CloudWatch Embedded Metric Format',
  },
  logLevel: {
    variable: 'SLIPWAY_LOG_LEVEL',
    type: 'choice',
    choices: ['debug', 'info', 'warn', 'error'],
    default: 'info',
    since: 1,
    description: 'least severe log line that is written',
  },
} as const satisfies Record<string, EnvironmentVariable>;

/** What the server was told, every default filled in. */
export interface ServerSettings {
  readonly contract: number;
  /** As given: a JSON list of model references, or a `file://` URI of one. */
  readonly models?: string;
  readonly modelRepository?: string;
  readonly host: string;
  readonly httpPort: number;
  readonly metricsPort: number;
  readonly executionProvider: ExecutionProvider;
  readonly executors: number;
  readonly intraOpThreads?: number;
  readonly maxBatchSize: number;
  readonly queueDepthRows: number;
  readonly requestDeadlineSeconds: number;
  readonly deregistrationLagSeconds: number;
  readonly keepAliveSeconds: number;
  readonly maxBodyMiB: number;
  readonly bodyMemoryMiB: number;
  readonly runStuckSeconds: number;
  readonly startupBudgetSeconds: number;
  readonly targetQueueSeconds: number;
  readonly cacheDirectory: string;
  readonly serviceName: string;
  readonly clusterName: string;
  readonly cloudwatchMetrics: boolean;
  readonly logLevel: LogLevel;
}

type Setting = keyof ServerSettings;
const ROWS = Object.entries(ENVIRONMENT) as [Setting, EnvironmentVariable][];

/** What only deployment knows about a container. */
export interface ContainerRefs<S> extends LateBound<S> {
  /** By model name. */
  readonly models: Readonly<Record<string, ModelLocation<S>>>;
  readonly clusterName: string | S;
  /** Whether CloudWatch reads standard output, as on ECS. */
  readonly cloudwatchMetrics: boolean;
}

/** The environment of a server container: the only place where a deployment decides what a replica is told. */
export function containerEnvironment<S>(
  plan: InferenceServicePlan,
  refs: ContainerRefs<S>,
): Record<string, string | S> {
  const { lifecycle, resources } = plan;
  return {
    ...writeEnvironment({
      contract: plan.contract,
      executionProvider: plan.executionProvider,
      executors: resources.executors,
      intraOpThreads: resources.intraOpThreads,
      queueDepthRows: plan.queueDepthRows,
      requestDeadlineSeconds: lifecycle.requestDeadlineSeconds,
      deregistrationLagSeconds: lifecycle.deregistrationLagSeconds,
      keepAliveSeconds: lifecycle.keepAliveSeconds,
      maxBodyMiB: plan.maxBodyMiB,
      bodyMemoryMiB: plan.bodyMemoryMiB,
      runStuckSeconds: lifecycle.runStuckSeconds,
      startupBudgetSeconds: lifecycle.startupBudgetSeconds,
      targetQueueSeconds: plan.scaling.targetQueueSeconds,
      serviceName: plan.name,
      ...(refs.cloudwatchMetrics ? { cloudwatchMetrics: true } : {}),
    }),
    [ENVIRONMENT.models.variable]: modelReferences(plan.models, refs.models, refs),
    [ENVIRONMENT.clusterName.variable]: refs.clusterName,
  };
}

/** Variables for these settings; what is not given is left to the server's default. */
export function writeEnvironment(settings: Partial<ServerSettings>): Record<string, string> {
  return Object.fromEntries(
    ROWS.flatMap(([setting, row]) => {
      const value = settings[setting];
      return value === undefined ? [] : [[row.variable, String(value)]];
    }),
  );
}

/**
 * The inverse of `containerEnvironment`: settings from an environment. Variables that do not begin with `SLIPWAY_`
 * are somebody else's.
 * @throws SpecError CONTRACT_TOO_NEW before anything else is read, ENVIRONMENT_UNKNOWN with the nearest known name,
 * ENVIRONMENT_INVALID with the value and what would work.
 */
export function readEnvironment(environment: Readonly<Record<string, string | undefined>>): ServerSettings {
  const ours = Object.entries(environment).filter(
    (entry): entry is [string, string] =>
      entry[0].startsWith('SLIPWAY_') && entry[1] !== undefined && !isServiceLink(entry[0], entry[1]),
  );
  const given = new Map(ours);
  assertContract(given.get(ENVIRONMENT.contract.variable));

  const known = ROWS.map(([, row]) => row.variable);
  for (const [variable] of ours) {
    if (!known.includes(variable)) {
      throw new SpecError(
        'ENVIRONMENT_UNKNOWN',
        variable,
        `no such variable, the nearest one is ${nearest(variable, known)}`,
      );
    }
  }
  const settings: Partial<Record<Setting, unknown>> = {};
  for (const [setting, row] of ROWS) {
    const text = given.get(row.variable);
    const value = text === undefined || text === '' ? row.default : parseVariable(row, text);
    if (value !== undefined) settings[setting] = value;
  }
  return settings as unknown as ServerSettings;
}

/** `--http-port` for `SLIPWAY_HTTP_PORT`. */
export function flagOfVariable(variable: string): string {
  return `--${variable.slice('SLIPWAY_'.length).toLowerCase().replaceAll('_', '-')}`;
}

function assertContract(text: string | undefined): void {
  if (text === undefined || !/^[0-9]+$/.test(text) || Number(text) <= CONTRACT) return;
  throw new SpecError(
    'CONTRACT_TOO_NEW',
    ENVIRONMENT.contract.variable,
    `the deployment was made for contract ${text}, this image speaks contract ${CONTRACT}; deploy with an image of the same release as the library`,
  );
}

// Kubernetes tells every pod about every Service of its namespace, as Docker links did: a Service called `slipway-x`
// gives SLIPWAY_X_SERVICE_HOST, SLIPWAY_X_PORT=tcp://… and SLIPWAY_X_PORT_8080_TCP_ADDR. They are not for us.
function isServiceLink(variable: string, value: string): boolean {
  return (
    /_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(variable) ||
    (variable.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value))
  );
}

function parseVariable(row: EnvironmentVariable, text: string): string | number | boolean {
  const refuse = (expected: string): never => {
    throw new SpecError('ENVIRONMENT_INVALID', row.variable, `must be ${expected}, got '${text}'`);
  };
  switch (row.type) {
    case 'string':
      return text;
    case 'boolean':
      if (text === 'true' || text === '1') return true;
      if (text === 'false' || text === '0') return false;
      return refuse('true or false');
    case 'choice':
      return row.choices.includes(text) ? text : refuse(row.choices.join(', '));
    case 'integer':
    case 'number': {
      const value = Number(text);
      const whole = row.type === 'integer';
      if (
        text.trim() === '' ||
        !Number.isFinite(value) ||
        (whole && !Number.isInteger(value)) ||
        value < row.min ||
        value > row.max
      ) {
        return refuse(`a ${whole ? 'whole ' : ''}number from ${row.min} to ${row.max}`);
      }
      return value;
    }
    default:
      return row satisfies never;
  }
}
