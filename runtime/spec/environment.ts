import { DEFAULTS } from './defaults';
import { CONTRACT, EVIDENCE_CONTRACT, PORTS } from './endpoints';
import { SpecError } from './errors';
import type { ExecutionProvider } from './inference-service-spec';
import type { InferenceServicePlan } from './inference-service-plan';
import type { LateBound } from './late-bound';
import { deployedContract, modelReferences, type ModelLocation } from './model-reference';
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
  /** Its value is a secret: nothing prints it. */
  readonly secret?: true;
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
      'by hand: serve the newest version of every model of this model repository (a directory, file://, s3://, gs://, az://, oss:// or cos://)',
  },
  versionPolicy: {
    variable: 'SLIPWAY_VERSION_POLICY',
    type: 'string',
    default: 'latest',
    since: 1,
    description:
      "by hand: which versions of a model to serve: latest, latest:<n>, all or specific:<v>,<v>; a model's own version_policy wins",
  },
  defaultModel: {
    variable: 'SLIPWAY_DEFAULT_MODEL',
    type: 'string',
    since: 1,
    description: 'model behind /predict, /invocations and other paths that name none; by default the only one',
  },
  vertexHealthRoute: {
    variable: 'SLIPWAY_VERTEX_HEALTH_ROUTE',
    type: 'string',
    since: 1,
    description: 'path of the health check of Vertex AI; by default what AIP_HEALTH_ROUTE says',
  },
  vertexPredictRoute: {
    variable: 'SLIPWAY_VERTEX_PREDICT_ROUTE',
    type: 'string',
    since: 1,
    description: 'path of the predictions of Vertex AI, for the default model; by default what AIP_PREDICT_ROUTE says',
  },
  vertexDeployedModelId: {
    variable: 'SLIPWAY_VERTEX_DEPLOYED_MODEL_ID',
    type: 'string',
    since: 1,
    description: 'deployedModelId in answers to Vertex AI; by default what AIP_DEPLOYED_MODEL_ID says',
  },
  hotReload: {
    variable: 'SLIPWAY_HOT_RELOAD',
    type: 'boolean',
    default: false,
    since: 1,
    description:
      'by hand: notice new, changed and removed versions in the model repository and swap them without a failed request',
  },
  reloadSeconds: {
    variable: 'SLIPWAY_RELOAD_SECONDS',
    ...seconds,
    min: 0.05,
    default: 5,
    since: 1,
    description: 'how often a model repository is looked at for hot reload',
  },
  modelMemoryMiB: {
    variable: 'SLIPWAY_MODEL_MEMORY_MIB',
    type: 'number',
    min: 1,
    max: 67_108_864,
    since: 1,
    description:
      'memory that loaded models may hold, old and new version of a swap together; by default the memory limit of the container',
  },
  swapPolicy: {
    variable: 'SLIPWAY_SWAP_POLICY',
    type: 'choice',
    choices: ['refuse', 'hold'],
    default: 'refuse',
    since: 1,
    description:
      'when the old and the new version do not fit in memory together: refuse the new one, or hold requests while it replaces the old one',
  },
  swapHoldSeconds: {
    variable: 'SLIPWAY_SWAP_HOLD_SECONDS',
    ...seconds,
    default: 30,
    since: 1,
    description: 'longest time for which a swap holds requests; past it they are answered 503',
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
  grpcPort: {
    variable: 'SLIPWAY_GRPC_PORT',
    ...port,
    default: PORTS.grpc,
    since: 1,
    description: 'Open Inference Protocol over gRPC; 0 takes any free port and prints it',
  },
  adminPort: {
    variable: 'SLIPWAY_ADMIN_PORT',
    ...port,
    since: 1,
    description:
      'by hand: loading, unloading and log level, on 127.0.0.1 alone; off unless set; 0 takes any free port and prints it',
  },
  maxConnections: {
    variable: 'SLIPWAY_MAX_CONNECTIONS',
    type: 'integer',
    min: 1,
    max: 1_000_000,
    default: 10_000,
    since: 1,
    description: 'open connections of one port; more are closed at once',
  },
  tlsCertificate: {
    variable: 'SLIPWAY_TLS_CERTIFICATE',
    type: 'string',
    since: 1,
    description: 'PEM file with the certificate chain: HTTP and gRPC speak TLS; read again when it changes',
  },
  tlsKey: {
    variable: 'SLIPWAY_TLS_KEY',
    type: 'string',
    since: 1,
    description: 'PEM file with the private key of the certificate',
  },
  tlsClientCa: {
    variable: 'SLIPWAY_TLS_CLIENT_CA',
    type: 'string',
    since: 1,
    description: 'PEM file with the authorities whose client certificates are let in; without it none is asked for',
  },
  apiKeys: {
    variable: 'SLIPWAY_API_KEYS',
    type: 'string',
    secret: true,
    since: 1,
    description:
      'who may call: a JSON list of { name, sha256, groups }, or a file:// URI of one; without it and without JWT nobody is asked',
  },
  jwtJwks: {
    variable: 'SLIPWAY_JWT_JWKS',
    type: 'string',
    since: 1,
    description: 'https:// or file:// URI of the key set that signs bearer tokens',
  },
  jwtIssuer: {
    variable: 'SLIPWAY_JWT_ISSUER',
    type: 'string',
    since: 1,
    description: 'issuer that bearer tokens must name',
  },
  jwtAudience: {
    variable: 'SLIPWAY_JWT_AUDIENCE',
    type: 'string',
    since: 1,
    description: 'audience that bearer tokens must name',
  },
  tenantHeader: {
    variable: 'SLIPWAY_TENANT_HEADER',
    type: 'string',
    default: 'x-tenant-id',
    since: 1,
    description: 'header that names the tenant for fair share, where no key or token does',
  },
  executionProvider: {
    variable: 'SLIPWAY_EXECUTION_PROVIDER',
    type: 'choice',
    choices: ['cpu', 'cuda', 'tensorrt'],
    default: 'cpu',
    since: 1,
    description: 'ONNX Runtime backend',
  },
  executor: {
    variable: 'SLIPWAY_EXECUTOR',
    type: 'choice',
    choices: ['worker', 'native'],
    default: 'worker',
    since: 1,
    description:
      'what runs batches: threads with a session each, or one shared session called through a foreign-function interface',
  },
  cudaDevice: {
    variable: 'SLIPWAY_CUDA_DEVICE',
    type: 'integer',
    min: 0,
    max: 63,
    default: 0,
    since: 1,
    description: 'GPU that models run on, as the container counts them',
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
  weights: {
    variable: 'SLIPWAY_WEIGHTS',
    type: 'choice',
    choices: ['packed', 'mapped'],
    default: 'packed',
    since: 1,
    description:
      'packed: copied into the layout that runs fastest; mapped: used as they lie in the file, so that a model with external data opens at once and replicas of a machine share the pages, while matrix products take up to a third longer',
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
  allowedBatchSizes: {
    variable: 'SLIPWAY_ALLOWED_BATCH_SIZES',
    type: 'string',
    since: 1,
    description: 'row counts that runs may have, as in 1,2,4,8: a batch is padded to the next; by default any',
  },
  maxQueueDelayMicroseconds: {
    variable: 'SLIPWAY_MAX_QUEUE_DELAY_MICROSECONDS',
    type: 'integer',
    min: 0,
    max: 10_000_000,
    default: 0,
    since: 1,
    description: 'how long a request may wait for others to share its run while an executor is free',
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
  queueSeconds: {
    variable: 'SLIPWAY_QUEUE_SECONDS',
    ...seconds,
    min: 0.001,
    since: 1,
    description:
      'longest predicted wait that a request is let into the queue with; by default its own deadline; more is answered 429',
  },
  singleFlight: {
    variable: 'SLIPWAY_SINGLE_FLIGHT',
    type: 'boolean',
    default: false,
    since: 1,
    description: 'identical requests that are in flight together share one run',
  },
  responseCacheMiB: {
    variable: 'SLIPWAY_RESPONSE_CACHE_MIB',
    type: 'number',
    min: 0,
    max: 1_048_576,
    default: 0,
    since: 1,
    description: 'memory for answers to repeated requests, least recently used first out; 0 is off',
  },
  hooks: {
    variable: 'SLIPWAY_HOOKS',
    type: 'boolean',
    default: false,
    since: 1,
    description: "run a model's hooks.mjs before and after it, in a thread of its own",
  },
  hookSeconds: {
    variable: 'SLIPWAY_HOOK_SECONDS',
    ...seconds,
    min: 0.001,
    default: 5,
    since: 1,
    description: 'longest time that one call of a hook may take',
  },
  requireEvidence: {
    variable: 'SLIPWAY_REQUIRE_EVIDENCE',
    type: 'boolean',
    default: false,
    since: EVIDENCE_CONTRACT,
    description:
      'serve only versions with a golden proof and an evaluation of their very files that passed its gates; others are not ready',
  },
  modelSigningKeys: {
    variable: 'SLIPWAY_MODEL_SIGNING_KEYS',
    type: 'string',
    since: EVIDENCE_CONTRACT,
    description:
      'public keys in PEM, or a file:// URI of them: serve only versions whose manifest one of them has signed; by default none has to be',
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
  cacheMiB: {
    variable: 'SLIPWAY_CACHE_MIB',
    type: 'number',
    min: 1,
    max: 67_108_864,
    since: 1,
    description:
      'how much the cache of downloaded models may hold; by default what the disk holds. What was used longest ago is removed first',
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
    description: 'write saturation and other metrics to standard output in CloudWatch Embedded Metric Format',
  },
  tracesEndpoint: {
    variable: 'SLIPWAY_TRACES_ENDPOINT',
    type: 'string',
    since: 1,
    description: 'OTLP/HTTP endpoint for traces, as in https://collector:4318/v1/traces; off unless set',
  },
  tracesPlaintext: {
    variable: 'SLIPWAY_TRACES_PLAINTEXT',
    type: 'boolean',
    default: false,
    since: 1,
    description: 'lets traces go to another machine by plain HTTP',
  },
  tracesSampleRatio: {
    variable: 'SLIPWAY_TRACES_SAMPLE_RATIO',
    type: 'number',
    min: 0,
    max: 1,
    default: 1,
    since: 1,
    description: 'share of traces begun here that are recorded; a caller that has decided is followed',
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
  readonly versionPolicy: string;
  readonly defaultModel?: string;
  readonly vertexHealthRoute?: string;
  readonly vertexPredictRoute?: string;
  readonly vertexDeployedModelId?: string;
  readonly hotReload: boolean;
  readonly reloadSeconds: number;
  readonly modelMemoryMiB?: number;
  readonly swapPolicy: 'refuse' | 'hold';
  readonly swapHoldSeconds: number;
  readonly host: string;
  readonly httpPort: number;
  readonly metricsPort: number;
  readonly grpcPort: number;
  readonly adminPort?: number;
  readonly maxConnections: number;
  readonly tlsCertificate?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
  readonly apiKeys?: string;
  readonly jwtJwks?: string;
  readonly jwtIssuer?: string;
  readonly jwtAudience?: string;
  readonly tenantHeader: string;
  readonly executionProvider: ExecutionProvider;
  readonly executor: 'worker' | 'native';
  readonly cudaDevice: number;
  readonly executors: number;
  readonly intraOpThreads?: number;
  readonly weights: 'packed' | 'mapped';
  readonly maxBatchSize: number;
  readonly allowedBatchSizes?: string;
  readonly maxQueueDelayMicroseconds: number;
  readonly queueDepthRows: number;
  readonly queueSeconds?: number;
  readonly singleFlight: boolean;
  readonly responseCacheMiB: number;
  readonly hooks: boolean;
  readonly hookSeconds: number;
  readonly requireEvidence: boolean;
  /** As given: public keys in PEM, or a `file://` URI of them. */
  readonly modelSigningKeys?: string;
  readonly requestDeadlineSeconds: number;
  readonly deregistrationLagSeconds: number;
  readonly keepAliveSeconds: number;
  readonly maxBodyMiB: number;
  readonly bodyMemoryMiB: number;
  readonly runStuckSeconds: number;
  readonly startupBudgetSeconds: number;
  readonly targetQueueSeconds: number;
  readonly cacheDirectory: string;
  readonly cacheMiB?: number;
  readonly serviceName: string;
  readonly clusterName: string;
  readonly cloudwatchMetrics: boolean;
  readonly tracesEndpoint?: string;
  readonly tracesPlaintext: boolean;
  readonly tracesSampleRatio: number;
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
      contract: deployedContract(plan, refs.models),
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
      ...(plan.hooks ? { hooks: true } : {}),
      ...(plan.requireEvidence ? { requireEvidence: true } : {}),
      ...(plan.modelSigningKeys === undefined ? {} : { modelSigningKeys: plan.modelSigningKeys }),
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
