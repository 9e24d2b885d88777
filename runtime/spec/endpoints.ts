/** Ports of every replica, on every engine. */
export const PORTS = {
  /** Inference and health. */
  http: 8080,
  /** Open Inference Protocol over gRPC. */
  grpc: 8081,
  /** Prometheus exposition, read-only. */
  metrics: 8082,
} as const;

/** Paths that deployments depend on. */
export const PATHS = {
  /** 200 while the event loop answers and no executor is stuck in one run. */
  live: '/livez',
  /** 200 once every required model has first been ready, and from then on. */
  startup: '/startupz',
  /** 200 while all required models are loaded, warmed and proven, and the replica is not draining. */
  ready: '/readyz',
  metrics: '/metrics',
} as const;

/**
 * gRPC's `/readyz`, for load balancers: status 0 while `/readyz` answers 200, else 14. The health checking protocol would
 * not do: it answers status 0 with a message that says no, and load balancers look at the status alone. It is the path
 * that AWS asks by default.
 */
export const GRPC_READY_PATH = '/AWS.ALB/healthcheck';

/** The user and group that the image runs as. */
export const CONTAINER_USER = 10001;
/** Where steps of a pipeline find the files of a model: a folder of the container's scratch space. */
export const SOURCE_FOLDER = '/tmp/source';
/** Where they find what the steps before them left, in a folder for each, and leave what those after them need. */
export const RESULTS_FOLDER = '/tmp/results';
/** A folder of the image's user alone, in whose place a volume for downloaded models may be put. */
export const CACHE_FOLDER = '/var/cache/slipway';
/** First contract whose images have it. */
export const CACHE_FOLDER_CONTRACT = 2;

/** What the container health check executes: no shell is needed. Exit 0 while `/livez` answers 200. */
export const HEALTH_COMMAND = ['node', '/app/healthcheck.mjs'] as const;

/**
 * The contract between a deployment and the image: the environment variables, ports and paths. A server refuses a
 * higher number than its own in one sentence, and still reads the one below.
 * 2: a model reference may hold its folder's manifest to a digest, which an older server would not look at; there is a
 * folder for a volume of models.
 * 3: a server may be told to refuse versions without evidence, or without a signature.
 */
export const CONTRACT = 3;

/** First contract whose servers refuse what has no evidence, or is not signed. */
export const EVIDENCE_CONTRACT = 3;

/** What a deployment asks of its image, unless it uses something newer: an older image then still serves it. */
export const OLDEST_CONTRACT = 1;

/** Label keys and annotation keys on everything we create. */
export const LABELS = {
  pool: 'slipway.dev/pool',
  models: 'slipway.dev/models',
  contract: 'slipway.dev/contract',
  /** Which canary a route leads to: changes with what the canary serves and with its share. */
  canary: 'slipway.dev/canary',
  /** What was found about the canary of a route. */
  verdict: 'slipway.dev/verdict',
} as const;
