import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Server as SecureServer } from 'node:https';
import type { Server as NetServer, Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from 'pino';
import { CONTRACT, PATHS } from '../spec/endpoints';
import { ENVIRONMENT, type ServerSettings } from '../spec/environment';
import type { PortLabel } from '../spec/metric-names';
import { adminRoutes } from './admin-routes';
import { Authenticator } from './auth/authenticator';
import { BodyMemory } from './body-memory';
import { CloudwatchPublisher } from './cloudwatch-publisher';
import { ServerError, StartupError } from './errors';
import { Exchange } from './exchange';
import type { StartExecutor } from './executor';
import { openGpuMetrics, type GpuMetrics } from './gpu-metrics';
import { grpcMethods } from './grpc/grpc-methods';
import { GrpcServer } from './grpc/grpc-server';
import { healthRoutes, whyNotReady } from './health';
import type { StartHooks } from './hooks/hook-thread';
import { Inference } from './inference';
import { assertWellFormed, createListener, limitConnections, listen, type Connections } from './listener';
import { Metrics } from './metrics';
import { modelFactory } from './model-factory';
import { ModelMemory } from './model-memory';
import { ModelLifecycle } from './repository/model-lifecycle';
import { openInferenceRoutes, type Handler } from './open-inference-protocol';
import type { ChooseExecutorKind } from './plan-executors';
import { protocolRoutes } from './protocols/protocol-routes';
import { Roster } from './roster';
import { Router } from './router';
import { SaturationMeter } from './saturation-meter';
import { ServedModels } from './served-models';
import { visibleCudaDevices } from './settings';
import { SharedLogLevel } from './shared-log-level';
import { TlsFiles } from './tls-files';
import { endTrace, traceExchange, traceRoute } from './traced-request';
import { startTracing, type Tracing } from './tracing';

export interface ServerOptions {
  readonly settings: ServerSettings;
  readonly startExecutor: StartExecutor;
  /** @default - the kind that is wanted */
  readonly executorKind?: ChooseExecutorKind;
  readonly startHooks: StartHooks;
  readonly log: Logger;
  /** Where lines that are no log lines go: CloudWatch's metrics. */
  readonly writeLine: (line: string) => void;
}

export interface Addresses {
  readonly httpPort: number;
  readonly grpcPort: number;
  readonly metricsPort: number;
  /** Where loading and unloading was asked for. */
  readonly adminPort?: number;
}

/** Builds a server without starting anything: no port, no thread, no signal handler. */
export function buildServer(options: ServerOptions): InferenceServer {
  return new InferenceServer(options);
}

type Phase = 'serving' | 'draining' | 'closing';

/** Whoever loads and unloads models is on the machine, or is let onto it. */
const ADMIN_HOST = '127.0.0.1';
const IDLE_POLL_MS = 10;
/** How long the last answers may take to leave once nothing else is waited for. */
const FLUSH_MS = 1_000;
const SLOW_READER_MS = 1_000;

/** One replica. Call `listen`, then `load`; later `drain`, and `abandon` when draining took too long. */
export class InferenceServer {
  private readonly models = new ServedModels();
  private readonly lifecycle: ModelLifecycle;
  private readonly adminHttp: Server | SecureServer | undefined;
  private phase: Phase = 'serving';
  private readonly startup = new AbortController();
  private readonly exchanges = new Roster<Exchange>();
  private readonly router: Router<Handler>;
  private readonly http: Server | SecureServer;
  private readonly grpc: GrpcServer;
  private readonly metricsHttp: Server | SecureServer;
  private readonly tls: TlsFiles | undefined;
  private readonly authenticator: Authenticator;
  private readonly connections = new Map<PortLabel, Connections>();
  private slowReaders: NodeJS.Timeout | undefined;
  private tracing: Tracing | undefined;
  private gpu: GpuMetrics | undefined;
  private readonly metrics: Metrics;
  private readonly saturation: SaturationMeter;
  private readonly cloudwatch: CloudwatchPublisher;

  constructor(private readonly options: ServerOptions) {
    const { settings, writeLine, log } = options;
    const models = (): ServedModels => this.models;
    const dimensions = { cluster: settings.clusterName, service: settings.serviceName };
    this.saturation = new SaturationMeter({
      models: () => this.models.all,
      targetQueueSeconds: settings.targetQueueSeconds,
    });
    this.cloudwatch = new CloudwatchPublisher({
      ...dimensions,
      read: () => (this.models.hasStarted && !this.isDraining ? this.metrics.takePeriod() : undefined),
      write: writeLine,
    });
    this.metrics = new Metrics(dimensions, {
      saturation: () => this.saturation.value,
      models: () => this.models.all,
      connections: () => Array.from(this.connections, ([port, { count }]) => [port, count] as const),
      gpus: async () => (await this.gpu?.read()) ?? [],
    });
    this.tls = TlsFiles.open(settings, log);
    this.authenticator = new Authenticator({
      settings,
      log,
      onRefused: (reason) => this.metrics.requestUnauthorized(reason),
    });
    this.lifecycle = new ModelLifecycle({
      settings,
      models: this.models,
      create: modelFactory({
        ...options,
        executorKind: options.executorKind ?? ((wanted) => Promise.resolve(wanted)),
        models,
        metrics: this.metrics,
      }),
      memory: new ModelMemory({ limitMiB: settings.modelMemoryMiB }),
      onReload: (model, outcome) => this.metrics.reloaded(model, outcome),
      log,
    });
    const inference = new Inference({
      models,
      metrics: this.metrics,
      requestDeadlineSeconds: settings.requestDeadlineSeconds,
      maxBodyBytes: Math.floor(settings.maxBodyMiB * 2 ** 20),
      bodyMemory: new BodyMemory(Math.floor(settings.bodyMemoryMiB * 2 ** 20)),
    });
    const context = { models, inference, settings, isReady: () => this.isReady, repository: this.lifecycle };
    this.router = new Router([
      ...healthRoutes({ models, isDraining: () => this.isDraining, runStuckSeconds: settings.runStuckSeconds }),
      ...openInferenceRoutes(context),
      ...protocolRoutes(context),
    ]);
    const metricsRouter = new Router<Handler>([
      { method: 'GET', path: PATHS.metrics, group: 'public', handler: (exchange) => this.sendMetrics(exchange) },
    ]);
    this.http = this.createHttp('http', this.router, this.tls);
    this.grpc = this.createGrpc(inference);
    this.metricsHttp = this.createHttp('metrics', metricsRouter);
    const index = openInferenceRoutes(context).filter(({ path }) => path === '/v2/repository/index');
    const admin = adminRoutes({ repository: this.lifecycle, logLevel: new SharedLogLevel(log), log });
    this.adminHttp =
      settings.adminPort === undefined ? undefined : this.createHttp('admin', new Router([...admin, ...index]));
  }

  get isDraining(): boolean {
    return this.phase !== 'serving';
  }

  private get isReady(): boolean {
    return !this.isDraining && this.models.isReady;
  }

  /** Whether nothing is being answered, run or opened: only then can the process end by itself at once. */
  get isIdle(): boolean {
    return this.exchanges.size === 0 && this.grpc.isIdle && this.models.isIdle;
  }

  /** @throws StartupError PORT_UNAVAILABLE */
  async listen(): Promise<Addresses> {
    const { settings, log } = this.options;
    await this.authenticator.watch();
    await this.tls?.watch();
    this.tracing = await startTracing(settings, log);
    if (settings.executionProvider !== 'cpu') {
      this.gpu = await openGpuMetrics({ visibleDevices: visibleCudaDevices() });
    }
    const httpPort = await listen(this.http, settings.host, settings.httpPort, ENVIRONMENT.httpPort.variable);
    const grpcPort = await listen(this.grpc.server, settings.host, settings.grpcPort, ENVIRONMENT.grpcPort.variable);
    const metricsPort = await listen(
      this.metricsHttp,
      settings.host,
      settings.metricsPort,
      ENVIRONMENT.metricsPort.variable,
    );
    const admin =
      this.adminHttp === undefined
        ? {}
        : { adminPort: await listen(this.adminHttp, ADMIN_HOST, settings.adminPort!, ENVIRONMENT.adminPort.variable) };
    for (const server of [this.http, this.grpc.server, this.metricsHttp, ...(this.adminHttp ? [this.adminHttp] : [])]) {
      // Out of file descriptors, say: the connection is lost, the server goes on.
      server.on('error', (error: Error) => log.error({ reason: error.message }, 'a connection could not be accepted'));
    }
    this.slowReaders = setInterval(() => this.dropSlowReaders(), SLOW_READER_MS).unref();
    log.info(
      {
        host: settings.host,
        httpPort,
        grpcPort,
        metricsPort,
        ...admin,
        contract: CONTRACT,
        nodeVersion: process.version,
      },
      'listening',
    );
    return { httpPort, grpcPort, metricsPort, ...admin };
  }

  /**
   * Finds and loads all models. Resolves when each is ready or known to be unable to.
   * @throws StartupError, or SpecError for model references that cannot be read. The reason of the drain when one begins.
   */
  async load(): Promise<void> {
    const { startupBudgetSeconds } = this.options.settings;
    const { signal } = this.startup;
    const budget = setTimeout(() => this.startup.abort(this.budgetExceeded()), startupBudgetSeconds * 1_000);
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    try {
      await Promise.race([this.loadModels(signal), aborted]);
    } finally {
      clearTimeout(budget);
    }
  }

  /**
   * Leaves in peace: not ready at once, still accepting for the deregistration lag, then finishing what is in flight.
   * @returns whether everything was answered and nothing runs any more; false after lag and request deadline.
   */
  async drain(): Promise<boolean> {
    const { settings, log } = this.options;
    this.phase = 'draining';
    // A replica that was never ready is in no load balancer: nothing has to be waited for.
    const lagSeconds = this.models.hasStarted ? settings.deregistrationLagSeconds : 0;
    log.info({ lagSeconds, requestDeadlineSeconds: settings.requestDeadlineSeconds }, 'draining');
    this.startup.abort(new ServerError('DRAINING', 'the server is shutting down'));
    this.lifecycle.stop();
    this.grpc.announceDrain();
    await wait(lagSeconds * 1_000);
    this.stopAccepting();
    return this.waitForIdle(settings.requestDeadlineSeconds * 1_000);
  }

  /**
   * Answers everything that waits with 503 and gives the answers a moment to leave.
   * @returns whether nothing runs any more: native executors end a run that nobody waits for, nothing can stop a worker's.
   */
  async abandon(): Promise<boolean> {
    this.stopAccepting();
    for (const exchange of this.exchanges.snapshot()) exchange.abort(draining());
    this.grpc.abort(draining());
    const deadline = Date.now() + FLUSH_MS;
    while ((this.exchanges.size > 0 || !this.grpc.isIdle) && Date.now() < deadline) await wait(IDLE_POLL_MS);
    return this.options.settings.executor === 'native' ? this.waitForIdle(FLUSH_MS) : this.isIdle;
  }

  /** Releases ports, timers and threads. Waits for runs. */
  async close(): Promise<void> {
    this.stopAccepting();
    this.startup.abort(draining());
    this.lifecycle.close();
    this.saturation.stop();
    this.cloudwatch.stop();
    this.metrics.close();
    this.authenticator.close();
    this.tls?.close();
    clearInterval(this.slowReaders);
    this.http.closeAllConnections();
    this.grpc.close();
    this.metricsHttp.close();
    this.metricsHttp.closeAllConnections();
    this.adminHttp?.close();
    this.adminHttp?.closeAllConnections();
    await this.models.close();
    await this.tracing?.close();
    this.gpu?.close();
  }

  private async loadModels(signal: AbortSignal): Promise<void> {
    const { settings, log } = this.options;
    this.saturation.start();
    if (settings.cloudwatchMetrics) this.cloudwatch.start();
    await this.lifecycle.start(signal);
    if (this.models.isReady) {
      this.metrics.becameReady(performance.now() / 1_000);
      log.info('ready');
    } else {
      log.error({ reason: whyNotReady(this.models) }, 'not ready');
    }
    this.lifecycle.watch();
  }

  private budgetExceeded(): StartupError {
    const { startupBudgetSeconds } = this.options.settings;
    return new StartupError(
      'STARTUP_BUDGET',
      `not ready within the startup budget of ${startupBudgetSeconds} s: ${whyNotReady(this.models)}`,
    );
  }

  private createHttp(port: PortLabel, router: Router<Handler>, tls?: TlsFiles): Server | SecureServer {
    const { settings } = this.options;
    const options = {
      // Clients move their connections to other replicas while this one still answers.
      isLast: () => this.isDraining,
      onClose: (exchange: Exchange) => this.closed(exchange),
    };
    const handle = (expectsContinue: boolean) => {
      const exchangeOptions = { ...options, expectsContinue };
      return (request: IncomingMessage, response: ServerResponse) => {
        const exchange = new Exchange(request, response, exchangeOptions);
        this.exchanges.add(exchange);
        void this.answer(router, exchange);
      };
    };
    const isAnswering = (socket: Socket): boolean => this.isAnswering(socket);
    const server = createListener({ settings, handle: handle(false), tls, isAnswering });
    server.on('checkContinue', handle(true));
    this.limitConnections(port, server);
    return server;
  }

  private createGrpc(inference: Inference): GrpcServer {
    const { settings, log } = this.options;
    const models = (): ServedModels => this.models;
    const grpc = new GrpcServer({
      methods: grpcMethods({
        models,
        inference,
        settings,
        isLive: () => this.models.longestRunSeconds <= settings.runStuckSeconds,
        isReady: () => this.isReady,
        repository: this.lifecycle,
      }),
      maxMessageBytes: inference.maxBodyBytes,
      bodyMemory: inference.bodyMemory,
      requestDeadlineSeconds: settings.requestDeadlineSeconds,
      keepAliveSeconds: settings.keepAliveSeconds,
      tls: this.tls,
      authorize: (credentials, group) => this.authenticator.check(credentials, group),
      tracing: () => this.tracing,
      onUnheard: (reason, startedAt) => inference.countRefused('oip-grpc', startedAt, reason),
      log,
    });
    this.limitConnections('grpc', grpc.server);
    return grpc;
  }

  private limitConnections(port: PortLabel, server: NetServer): void {
    const { maxConnections } = this.options.settings;
    const onRefused = (): void => this.metrics.connectionRefused(port);
    this.connections.set(port, limitConnections(server, { maxConnections, log: this.options.log, onRefused }));
  }

  private async answer(router: Router<Handler>, exchange: Exchange): Promise<void> {
    const { method = 'GET', url = '/' } = exchange.request;
    if (this.tracing !== undefined) traceExchange(this.tracing, exchange);
    try {
      assertWellFormed(exchange.request);
      const { handler, parameters, group, route } = router.find(method, url);
      traceRoute(exchange, route);
      const checked = this.authenticator.check(exchange, group);
      const principal = checked instanceof Promise ? await checked : checked;
      exchange.tenant = principal.tenant;
      exchange.caller = principal.name;
      if (this.phase === 'closing' && method === 'POST') throw draining();
      await handler(exchange, parameters);
    } catch (error) {
      if (!(error instanceof ServerError)) {
        const { requestId, path } = exchange;
        this.options.log.error({ err: error, requestId, method, path }, 'request failed');
      }
      exchange.sendError(error);
    }
  }

  private isAnswering(socket: Socket): boolean {
    for (const { request } of this.exchanges.snapshot()) if (request.socket === socket) return true;
    return false;
  }

  private dropSlowReaders(): void {
    const now = performance.now();
    for (const exchange of this.exchanges.snapshot()) exchange.dropSlowReader(now);
  }

  private closed(exchange: Exchange): void {
    this.exchanges.remove(exchange);
    endTrace(exchange);
    const { log } = this.options;
    const { status, requestId, path, caller, secondsSoFar: seconds } = exchange;
    const level = status >= 500 ? 'info' : 'debug';
    if (!log.isLevelEnabled(level)) return;
    const { method } = exchange.request;
    const traceId = exchange.trace?.context.traceId;
    log[level](
      { requestId, method, path, status, seconds, ...(caller === '' ? {} : { caller }), ...(traceId && { traceId }) },
      'request',
    );
  }

  private async sendMetrics(exchange: Exchange): Promise<void> {
    const query = new URLSearchParams((exchange.request.url ?? '').split('?')[1]);
    const withTriton = query.get('compat') === 'triton';
    const { contentType, text } = await this.metrics.expose({ withTriton, accept: exchange.header('accept') });
    const headers = { 'Content-Type': contentType, 'Content-Length': String(Buffer.byteLength(text)) };
    exchange.send(200, headers, [text]);
  }

  private stopAccepting(): void {
    this.phase = 'closing';
    this.grpc.stopAccepting();
    if (!this.http.listening) return;
    this.http.close();
    this.http.closeIdleConnections();
  }

  private async waitForIdle(timeoutMs: number): Promise<boolean> {
    const deadline = Date.now() + timeoutMs;
    while (!this.isIdle && Date.now() < deadline) await wait(IDLE_POLL_MS);
    return this.isIdle;
  }
}

function draining(): ServerError {
  return new ServerError('DRAINING', 'the server is shutting down');
}
