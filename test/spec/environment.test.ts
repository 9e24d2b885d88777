import {
  containerEnvironment,
  CONTRACT,
  ENVIRONMENT,
  flagOfVariable,
  parseModelReferences,
  PLAIN,
  planInferenceService,
  readEnvironment,
  writeEnvironment,
  type ContainerRefs,
} from 'slipway';
import { describe, expect, test } from 'vitest';
import type { EnvironmentVariable } from '../../runtime/spec/environment';
import { CPU_SPEC, GPU_SPEC } from '../support/specs';

const refs: ContainerRefs<string> = {
  ...PLAIN,
  models: { resnet50: { folder: 's3://models/resnet50/3/' } },
  clusterName: 'prod',
  cloudwatchMetrics: true,
};

describe('the environment of a container', () => {
  test.each([
    ['a CPU service', CPU_SPEC],
    ['a GPU service', GPU_SPEC],
  ])('is undone by the server’s reader, for %s', (_name, spec) => {
    const plan = planInferenceService({ ...spec, requestDeadlineSeconds: 12.5, queueDepthRows: 77, maxBodyMiB: 8 });
    const settings = readEnvironment(containerEnvironment(plan, refs));
    expect(settings).toMatchObject({
      contract: plan.contract,
      executionProvider: plan.executionProvider,
      executors: plan.resources.executors,
      intraOpThreads: plan.resources.intraOpThreads,
      queueDepthRows: 77,
      maxBodyMiB: 8,
      bodyMemoryMiB: plan.bodyMemoryMiB,
      requestDeadlineSeconds: 12.5,
      deregistrationLagSeconds: plan.lifecycle.deregistrationLagSeconds,
      keepAliveSeconds: plan.lifecycle.keepAliveSeconds,
      runStuckSeconds: plan.lifecycle.runStuckSeconds,
      startupBudgetSeconds: plan.lifecycle.startupBudgetSeconds,
      targetQueueSeconds: plan.scaling.targetQueueSeconds,
      serviceName: 'resnet',
      clusterName: 'prod',
      cloudwatchMetrics: true,
      httpPort: plan.ports.http,
      metricsPort: plan.ports.metrics,
    });
    expect(parseModelReferences(settings.models!)).toEqual([
      {
        name: 'resnet50',
        version: 3,
        maxBatchSize: 32,
        files: CPU_SPEC.models[0]!.files!.map((file) => ({ ...file, uri: `s3://models/resnet50/3/${file.path}` })),
      },
    ]);
  });

  test('names every setting that a plan decides, and nothing a container image decides', () => {
    const variables = Object.keys(containerEnvironment(planInferenceService(CPU_SPEC), refs)).sort();
    expect(variables).toMatchInlineSnapshot(`
      [
        "SLIPWAY_BODY_MEMORY_MIB",
        "SLIPWAY_CLOUDWATCH_METRICS",
        "SLIPWAY_CLUSTER_NAME",
        "SLIPWAY_CONTRACT",
        "SLIPWAY_DEREGISTRATION_LAG_SECONDS",
        "SLIPWAY_EXECUTION_PROVIDER",
        "SLIPWAY_EXECUTORS",
        "SLIPWAY_INTRA_OP_THREADS",
        "SLIPWAY_KEEP_ALIVE_SECONDS",
        "SLIPWAY_MAX_BODY_MIB",
        "SLIPWAY_MODELS",
        "SLIPWAY_QUEUE_DEPTH_ROWS",
        "SLIPWAY_REQUEST_DEADLINE_SECONDS",
        "SLIPWAY_RUN_STUCK_SECONDS",
        "SLIPWAY_SERVICE_NAME",
        "SLIPWAY_STARTUP_BUDGET_SECONDS",
        "SLIPWAY_TARGET_QUEUE_SECONDS",
      ]
    `);
  });

  test('every setting survives being written and read', () => {
    // What has no default needs a value to be there at all.
    const rows: readonly EnvironmentVariable[] = Object.values(ENVIRONMENT);
    const everything = readEnvironment(
      Object.fromEntries(
        rows.flatMap((row) =>
          row.default === undefined ? [[row.variable, 'min' in row ? String(row.min) : 'x']] : [],
        ),
      ),
    );
    expect(Object.keys(everything).sort()).toEqual(Object.keys(ENVIRONMENT).sort());
    const changed = {
      ...everything,
      host: '::1',
      httpPort: 1,
      logLevel: 'warn' as const,
      cloudwatchMetrics: true,
      maxBodyMiB: 0.5,
    };
    expect(readEnvironment(writeEnvironment(changed))).toEqual(changed);
  });

  test('keeps late-bound values apart until the engine joins them', () => {
    const bucket = { late: 'bucket' };
    const environment = containerEnvironment<{ late: string } | unknown[]>(planInferenceService(CPU_SPEC), {
      concat: (parts) => [...parts],
      models: { resnet50: { folder: [bucket, '/resnet50/3/'] } },
      clusterName: 'prod',
      cloudwatchMetrics: false,
    });
    expect(JSON.stringify(environment['SLIPWAY_MODELS'])).toContain(JSON.stringify(bucket));
  });
});

describe('the server refuses', () => {
  const refuse = (environment: Record<string, string>): string => {
    try {
      readEnvironment(environment);
    } catch (error) {
      return (error as Error).message;
    }
    return 'accepted';
  };

  test.each([
    [
      { SLIPWAY_HTPP_PORT: '8080' },
      'ENVIRONMENT_UNKNOWN SLIPWAY_HTPP_PORT: no such variable, the nearest one is SLIPWAY_HTTP_PORT',
    ],
    [{ SLIPWAY_MODEL_REPO: '/m' }, 'the nearest one is SLIPWAY_MODELS'],
    [
      { SLIPWAY_HTTP_PORT: '70000' },
      "ENVIRONMENT_INVALID SLIPWAY_HTTP_PORT: must be a whole number from 0 to 65535, got '70000'",
    ],
    [{ SLIPWAY_HTTP_PORT: '80.5' }, 'must be a whole number'],
    [{ SLIPWAY_EXECUTORS: ' ' }, 'must be a whole number from 1 to 64'],
    [{ SLIPWAY_LOG_LEVEL: 'loud' }, "must be debug, info, warn, error, got 'loud'"],
    [{ SLIPWAY_CLOUDWATCH_METRICS: 'yes' }, "must be true or false, got 'yes'"],
    [
      { SLIPWAY_CONTRACT: String(CONTRACT + 1), SLIPWAY_FROM_THE_FUTURE: '1' },
      `CONTRACT_TOO_NEW SLIPWAY_CONTRACT: the deployment was made for contract ${CONTRACT + 1}, this image speaks contract ${CONTRACT}`,
    ],
  ])('%o', (environment, message) => {
    expect(refuse(environment)).toContain(message);
  });

  test('and takes an older contract, other people’s variables and an empty value as not given', () => {
    expect(readEnvironment({ PATH: '/bin', SLIPWAY_CONTRACT: '1', SLIPWAY_HTTP_PORT: '' }).httpPort).toBe(8080);
  });

  test.each([
    'SLIPWAY_SERVICE_HOST=10.0.0.1',
    'SLIPWAY_SERVICE_PORT=8080',
    'SLIPWAY_SERVICE_PORT_HTTP=8080',
    'SLIPWAY_PORT=tcp://10.0.0.1:8080',
    'SLIPWAY_PORT_8080_TCP=tcp://10.0.0.1:8080',
    'SLIPWAY_PORT_8080_TCP_PROTO=tcp',
    'SLIPWAY_PORT_8080_TCP_PORT=8080',
    'SLIPWAY_PORT_8080_TCP_ADDR=10.0.0.1',
    'SLIPWAY_DIGITS_SERVICE_HOST=10.0.0.1',
    'SLIPWAY_DIGITS_PORT_8082_TCP_ADDR=10.0.0.1',
    'SLIPWAY_HTTP_PORT=tcp://10.0.0.1:80',
  ])('but not what Kubernetes injects for a Service called slipway…: %s', (line) => {
    const [name, value] = line.split('=') as [string, string];
    expect(readEnvironment({ [name]: value }).httpPort).toBe(8080);
  });
});

test('the variables, their defaults and their flags are public API', () => {
  expect(
    Object.values(ENVIRONMENT).map(
      (row) =>
        `${row.variable} ${flagOfVariable(row.variable)} ${row.type} ${'default' in row ? String(row.default) : '-'}`,
    ),
  ).toMatchInlineSnapshot(`
    [
      "SLIPWAY_CONTRACT --contract integer 3",
      "SLIPWAY_MODELS --models string -",
      "SLIPWAY_MODEL_REPOSITORY --model-repository string -",
      "SLIPWAY_VERSION_POLICY --version-policy string latest",
      "SLIPWAY_DEFAULT_MODEL --default-model string -",
      "SLIPWAY_VERTEX_HEALTH_ROUTE --vertex-health-route string -",
      "SLIPWAY_VERTEX_PREDICT_ROUTE --vertex-predict-route string -",
      "SLIPWAY_VERTEX_DEPLOYED_MODEL_ID --vertex-deployed-model-id string -",
      "SLIPWAY_HOT_RELOAD --hot-reload boolean false",
      "SLIPWAY_RELOAD_SECONDS --reload-seconds number 5",
      "SLIPWAY_MODEL_MEMORY_MIB --model-memory-mib number -",
      "SLIPWAY_SWAP_POLICY --swap-policy choice refuse",
      "SLIPWAY_SWAP_HOLD_SECONDS --swap-hold-seconds number 30",
      "SLIPWAY_HOST --host string 127.0.0.1",
      "SLIPWAY_HTTP_PORT --http-port integer 8080",
      "SLIPWAY_METRICS_PORT --metrics-port integer 8082",
      "SLIPWAY_GRPC_PORT --grpc-port integer 8081",
      "SLIPWAY_ADMIN_PORT --admin-port integer -",
      "SLIPWAY_MAX_CONNECTIONS --max-connections integer 10000",
      "SLIPWAY_TLS_CERTIFICATE --tls-certificate string -",
      "SLIPWAY_TLS_KEY --tls-key string -",
      "SLIPWAY_TLS_CLIENT_CA --tls-client-ca string -",
      "SLIPWAY_API_KEYS --api-keys string -",
      "SLIPWAY_JWT_JWKS --jwt-jwks string -",
      "SLIPWAY_JWT_ISSUER --jwt-issuer string -",
      "SLIPWAY_JWT_AUDIENCE --jwt-audience string -",
      "SLIPWAY_TENANT_HEADER --tenant-header string x-tenant-id",
      "SLIPWAY_EXECUTION_PROVIDER --execution-provider choice cpu",
      "SLIPWAY_EXECUTOR --executor choice worker",
      "SLIPWAY_CUDA_DEVICE --cuda-device integer 0",
      "SLIPWAY_EXECUTORS --executors integer 1",
      "SLIPWAY_INTRA_OP_THREADS --intra-op-threads integer -",
      "SLIPWAY_WEIGHTS --weights choice packed",
      "SLIPWAY_MAX_BATCH_SIZE --max-batch-size integer 32",
      "SLIPWAY_ALLOWED_BATCH_SIZES --allowed-batch-sizes string -",
      "SLIPWAY_MAX_QUEUE_DELAY_MICROSECONDS --max-queue-delay-microseconds integer 0",
      "SLIPWAY_QUEUE_DEPTH_ROWS --queue-depth-rows integer 128",
      "SLIPWAY_QUEUE_SECONDS --queue-seconds number -",
      "SLIPWAY_SINGLE_FLIGHT --single-flight boolean false",
      "SLIPWAY_RESPONSE_CACHE_MIB --response-cache-mib number 0",
      "SLIPWAY_HOOKS --hooks boolean false",
      "SLIPWAY_HOOK_SECONDS --hook-seconds number 5",
      "SLIPWAY_REQUIRE_EVIDENCE --require-evidence boolean false",
      "SLIPWAY_MODEL_SIGNING_KEYS --model-signing-keys string -",
      "SLIPWAY_REQUEST_DEADLINE_SECONDS --request-deadline-seconds number 30",
      "SLIPWAY_DEREGISTRATION_LAG_SECONDS --deregistration-lag-seconds number 10",
      "SLIPWAY_KEEP_ALIVE_SECONDS --keep-alive-seconds number 65",
      "SLIPWAY_MAX_BODY_MIB --max-body-mib number 64",
      "SLIPWAY_BODY_MEMORY_MIB --body-memory-mib number 256",
      "SLIPWAY_RUN_STUCK_SECONDS --run-stuck-seconds number 120",
      "SLIPWAY_STARTUP_BUDGET_SECONDS --startup-budget-seconds number 600",
      "SLIPWAY_TARGET_QUEUE_SECONDS --target-queue-seconds number 0.1",
      "SLIPWAY_CACHE_DIRECTORY --cache-directory string /tmp/slipway",
      "SLIPWAY_CACHE_MIB --cache-mib number -",
      "SLIPWAY_SERVICE_NAME --service-name string slipway",
      "SLIPWAY_CLUSTER_NAME --cluster-name string local",
      "SLIPWAY_CLOUDWATCH_METRICS --cloudwatch-metrics boolean false",
      "SLIPWAY_TRACES_ENDPOINT --traces-endpoint string -",
      "SLIPWAY_TRACES_PLAINTEXT --traces-plaintext boolean false",
      "SLIPWAY_TRACES_SAMPLE_RATIO --traces-sample-ratio number 1",
      "SLIPWAY_LOG_LEVEL --log-level choice info",
    ]
  `);
});
