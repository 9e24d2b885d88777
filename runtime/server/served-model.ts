import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import type { Logger } from 'pino';
import { rowsNotIndependent, type Finding } from '../model/doctor';
import type { Tensor } from '../onnx/tensor-encoding';
import type { PublicKey } from '../signing/public-keys';
import { HOOKS_FILE } from '../spec/model-repository';
import type { ServerSettings } from '../spec/environment';
import type { ModelConfiguration } from '../spec/model-configuration';
import { planBatching, warmUpSizes, type BatchPolicy } from './batch-policy';
import { Batcher } from './batcher';
import { EfficiencyMeter } from './efficiency';
import { ServerError, StartupError } from './errors';
import { ExecutorExit, SessionError, type Executor, type StartExecutor } from './executor';
import { ExecutorPool } from './executor-pool';
import { ExecutorStarter } from './executor-starter';
import { readClassLabels, readPublishedLabels } from './class-labels';
import { applyConfiguration, reshapes, toClientShapes, toModelShapes, warmupSamples } from './configured-shapes';
import { fetchModel, type FetchedModel } from './fetch-model';
import type { StartHooks } from './hooks/hook-thread';
import { openHooks, type ModelHooks } from './hooks/model-hooks';
import type { InferTarget } from './infer-request';
import type { Metrics } from './metrics';
import { ModelError } from './model-error';
import { assertEvidence, evidenceProperties, userDataProperties } from './model-evidence';
import { planExecutors, sessionsOf, type ChooseExecutorKind, type ExecutorPlan } from './plan-executors';
import { readPublishedConfiguration } from './published-configuration';
import { openPreprocessor } from './published-preprocessing';
import { RunCost } from './run-cost';
import type { InferCall } from './infer-call';
import { examineFetched } from './model-findings';
import { ModelStatistics } from './model-statistics';
import type { Admit, LoadableModel, ModelVersion } from './repository/model-version';
import { RepeatedRequests } from './repeated-requests';
import type { ResponseCache } from './response-cache';
import type { ModelState } from './servable';
import type { SharedResource } from './shared-resource';

export interface ServedModelOptions extends ModelVersion {
  /** Asked once the model has been fetched, before a session is opened. @default - nobody is asked */
  readonly admit?: Admit | undefined;
  readonly settings: ServerSettings;
  /** That the process may use. */
  readonly cpus: number;
  /** What all models of the replica run on. */
  readonly resource: SharedResource;
  readonly responseCache: ResponseCache;
  readonly startExecutor: StartExecutor;
  readonly executorKind: ChooseExecutorKind;
  readonly startHooks: StartHooks;
  /** One of which must have signed each manifest. @default - none has to */
  readonly signingKeys?: readonly PublicKey[] | undefined;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** One model version from its reference to its answers. */
export class ServedModel implements LoadableModel {
  readonly name: string;
  readonly version: number;
  private failure: string | undefined;
  private progress = 'loading';
  /** What lies beside the versions, or else what was published with this one. */
  configuration: ModelConfiguration | undefined;
  private modelFolder: string | undefined;
  private fetched: FetchedModel | undefined;
  private hooks: ModelHooks | undefined;
  private plan: ExecutorPlan | undefined;
  private starter: ExecutorStarter | undefined;
  private pool: ExecutorPool | undefined;
  private serving: Serving | undefined;
  private readonly log: Logger;
  private readonly cost = new RunCost();
  private efficiencyMeter = new EfficiencyMeter(1);
  readonly statistics = new ModelStatistics();
  /** What the doctor says about the model, and what running it with one and two rows showed. */
  findings: readonly Finding[] = [];
  /** What its manifest says of it beyond digests, by name. */
  evidence: Readonly<Record<string, string>> = {};
  /** Rows that valid requests brought so far, those that were turned away included: the demand. */
  arrivedRows = 0;

  constructor(private readonly options: ServedModelOptions) {
    this.name = options.reference.name;
    this.version = options.reference.version;
    this.configuration = options.configuration;
    this.modelFolder = options.modelFolder;
    this.log = options.log.child({ model: this.name, version: this.version });
  }

  get state(): ModelState {
    if (this.failure !== undefined) return 'UNAVAILABLE';
    if (this.serving === undefined) return 'LOADING';
    return this.serving.pool.liveCount > 0 ? 'READY' : 'UNAVAILABLE';
  }

  get isReady(): boolean {
    return this.state === 'READY';
  }

  /** Why the model is not ready; empty when it is. */
  get reason(): string {
    if (this.isReady) return '';
    const { progress } = this.starter ?? {};
    const loading = progress === undefined ? this.progress : `loading: ${progress}`;
    return this.failure ?? this.serving?.pool.lastFailure ?? loading;
  }

  /** What requests are checked against; undefined until the model has been opened. */
  get target(): InferTarget | undefined {
    return this.serving?.target;
  }

  get queuedRows(): number {
    return this.serving?.batcher.queuedRows ?? 0;
  }

  /** Seconds that one row takes in the largest allowed batch. */
  get secondsPerRow(): number {
    return this.cost.perRow(this.target?.maxRows ?? 1);
  }

  get executors(): number {
    return this.plan?.length ?? 1;
  }

  /** How much of the time in which its executors had work they spent inside the runtime; undefined before any work. */
  get efficiency(): number | undefined {
    return this.efficiencyMeter.ratio(performance.now());
  }

  get longestRunSeconds(): number {
    return Math.max(this.serving?.pool.longestRunSeconds() ?? 0, this.starter?.longestRunSeconds ?? 0);
  }

  /** Whether no session is being opened and nothing is queued or run. */
  get isIdle(): boolean {
    const { pool, starter } = this;
    return pool === undefined || (pool.isIdle && this.queuedRows === 0 && starter!.isIdle);
  }

  /**
   * Fetches, opens and proves the model. A model that cannot be served ends up UNAVAILABLE with the reason.
   * @throws StartupError when the machine, not the model, is the reason.
   */
  async load(signal: AbortSignal): Promise<void> {
    const start = performance.now();
    try {
      const model = await this.fetch(signal);
      this.fetched = model;
      if (this.options.settings.requireEvidence) assertEvidence(model, this.options.modelFile);
      this.evidence = evidenceProperties(model);
      await this.configure(model);
      this.plan = await this.planExecutors();
      await this.options.admit?.(model, sessionsOf(this.plan));
      this.findings = examineFetched(model, this.options.settings.executionProvider, this.log);
      for (const note of this.configuration?.notes ?? []) this.log.warn({ reason: note }, 'configuration');
      this.hooks = await this.openHooks(model);
      if (this.hooks === undefined && model.manifest?.files.some((file) => file.path === HOOKS_FILE) === true) {
        this.log.warn('hooks were published with the model and are not run: SLIPWAY_HOOKS is off');
      }
      this.serving = await this.open(model, this.plan, signal);
      this.evidence = { ...this.evidence, ...userDataProperties(this.serving.target.preprocessor) };
      const seconds = secondsSince(start);
      this.options.metrics.modelLoaded(this, seconds);
      this.log.info({ seconds, maxBatchRows: this.target?.maxRows ?? 1 }, 'model ready');
    } catch (error) {
      await this.hooks?.close();
      if (error instanceof StartupError || signal.aborted) throw error;
      this.failure = (error as Error).message;
      const isExpected = [ModelError, SessionError, ExecutorExit].some((kind) => error instanceof kind);
      this.log.error(isExpected ? { reason: this.failure } : { err: error }, 'model cannot be served');
    }
  }

  /** @throws ServerError as the batcher does, and MODEL_NOT_READY. */
  infer(call: InferCall): Promise<readonly Tensor[]> {
    const { batcher, repeated } = this.assertReady();
    return repeated === undefined ? this.run(batcher, call) : repeated.infer(call);
  }

  /** @throws ServerError MODEL_NOT_READY with the reason. */
  assertReady(): Serving {
    if (this.serving !== undefined && this.isReady) return this.serving;
    throw new ServerError(
      'MODEL_NOT_READY',
      `model '${this.name}' version ${this.version} is not ready: ${this.reason}`,
    );
  }

  async close(): Promise<void> {
    this.serving?.repeated?.close();
    await this.pool?.close();
    await this.starter?.close();
    await this.hooks?.close();
    await this.fetched?.release();
    this.options.metrics.forget(this);
  }

  private run(batcher: Batcher, call: InferCall): Promise<readonly Tensor[]> {
    this.arrivedRows += call.rows;
    const { hooks } = this;
    if (hooks === undefined) return this.runReshaped(batcher, call);
    return hooks.infer(call, this.serving!.modelTarget, (inner) => this.runReshaped(batcher, inner));
  }

  private async runReshaped(batcher: Batcher, call: InferCall): Promise<readonly Tensor[]> {
    const { configuration } = this;
    if (configuration === undefined || !reshapes(configuration)) return batcher.run(call);
    const outputs = await batcher.run({ ...call, inputs: toModelShapes(call.inputs, configuration) });
    return toClientShapes(outputs, configuration);
  }

  private openHooks({ folder }: FetchedModel): Promise<ModelHooks | undefined> {
    const { name, version, configuration, log } = this;
    const { settings, startHooks } = this.options;
    const isPublished = this.options.configuration === undefined;
    return openHooks({ name, version, folder, configuration, isPublished, settings, start: startHooks, log });
  }

  private async configure(model: FetchedModel): Promise<void> {
    const published = await readPublishedConfiguration(model);
    if (published === undefined) return;
    if (this.configuration === undefined) {
      this.configuration = published;
      this.modelFolder = pathToFileURL(`${model.folder}${path.sep}`).href;
    } else {
      this.log.warn('the configuration that was published with the version is not used: one lies beside the versions');
    }
  }

  private async fetch(signal: AbortSignal): Promise<FetchedModel> {
    const start = performance.now();
    const model = await fetchModel(this.options.reference, {
      cacheDirectory: this.options.settings.cacheDirectory,
      cacheMiB: this.options.settings.cacheMiB,
      modelFile: this.options.modelFile,
      ...(this.options.signingKeys === undefined ? {} : { signingKeys: this.options.signingKeys }),
      copiesLocal: this.options.settings.hotReload || this.options.settings.adminPort !== undefined,
      signal,
      onRetry: (error) => {
        this.progress = `loading: ${error.message}`;
        this.log.warn({ reason: error.message }, 'fetching the model again');
      },
    });
    this.progress = 'loading: fetched, being opened';
    this.log.info(
      { seconds: secondsSince(start), manifest: model.manifest !== undefined },
      'model fetched and checked',
    );
    return model;
  }

  private async planExecutors(): Promise<ExecutorPlan> {
    const { settings, cpus, executorKind } = this.options;
    const executor = await executorKind(settings.executor);
    return planExecutors({ ...settings, executor }, this.configuration, cpus);
  }

  private async open(model: FetchedModel, plan: ExecutorPlan, signal: AbortSignal): Promise<Serving> {
    const { configuration, modelFolder } = this;
    const { metrics } = this.options;
    const configuredLabels = await readClassLabels(configuration, modelFolder, signal);
    const labels = new Map([...(await readPublishedLabels(model)), ...configuredLabels]);
    this.efficiencyMeter = new EfficiencyMeter(plan.length);
    // Bound below: the pool tells the batcher that an executor is free, and the batcher takes it from the pool.
    const onChange = (): void => this.serving?.batcher.scheduleDispatch();
    const starter = new ExecutorStarter({
      model,
      plan,
      startExecutor: this.options.startExecutor,
      batchSizes: warmUpSizes(this.planBatching(true)),
      samples: configuration === undefined ? [] : warmupSamples(configuration),
      modelFolder,
      runStuckSeconds: this.options.settings.runStuckSeconds,
      check: (executor) => void this.configured(executor),
      signal,
      log: this.log,
    });
    this.starter = starter;
    const pool = new ExecutorPool({ size: plan.length, start: () => starter.start(), log: this.log, onChange });
    this.pool = pool;
    try {
      await pool.open();
    } catch (error) {
      // Executors that did open would keep their memory for a model that is not served.
      await pool.close();
      throw error;
    }
    starter.opened();
    const { executor: signature, proof } = starter.first!;
    const { inputs } = signature;
    const { reason, cost } = proof;
    if (reason !== undefined) this.findings = [rowsNotIndependent(reason), ...this.findings];
    const takesRows = proof.takesRows && this.maxBatchSize > 0;
    const policy = this.planBatching(takesRows);
    const maxRows = takesRows ? policy.maxBatchRows : undefined;
    if (cost !== undefined) this.cost.calibrate(cost.oneRowSeconds, cost.rows, cost.allRowsSeconds);
    const pace = new RunCost();
    if (cost !== undefined) pace.calibrate(cost.oneRowSeconds, cost.rows, cost.allRowsSeconds);
    const batcher = new Batcher({
      model: this.name,
      pool,
      resource: this.options.resource.forModel(plan.length),
      policy,
      pace,
      hasOneShape: inputs.every(({ shape }) => shape.slice(1).every((size) => typeof size === 'number')),
      observe: {
        queued: (seconds) => {
          this.statistics.queue.add(seconds);
          metrics.queued(this, seconds);
        },
        began: (nowMs) => this.efficiencyMeter.began(nowMs),
        ended: (begunAtMs, runSeconds) => this.efficiencyMeter.ended(begunAtMs, runSeconds),
        changed: (nowMs, running, waiting) => this.efficiencyMeter.changed(nowMs, running, waiting),
        ran: ({ rows, executedRows, result, share }) => {
          this.cost.observe(executedRows, result.seconds * share);
          this.statistics.ran(rows, result);
          metrics.ran(this, rows, result);
        },
      },
    });
    const shown = this.configured(signature);
    const preprocessor = await openPreprocessor(model, shown.inputs);
    const modelTarget = { ...shown, name: this.name, maxRows, labels };
    const target = this.hooks === undefined ? modelTarget : this.hooks.target(modelTarget);
    // Hooks that declare inputs of their own take something else than the model, and make of it what they like.
    const isForClients = preprocessor !== undefined && target.inputs === modelTarget.inputs;
    return {
      pool,
      batcher,
      repeated: this.reuse(batcher),
      target: isForClients ? { ...target, preprocessor } : target,
      modelTarget,
    };
  }

  /** What clients see of the model: its graph, with the dims of its configuration laid over it. */
  private configured(graph: Pick<Executor, 'inputs' | 'outputs'>): Pick<InferTarget, 'inputs' | 'outputs'> {
    const { inputs, outputs } =
      this.configuration === undefined ? graph : applyConfiguration(this.configuration, graph);
    return { inputs, outputs };
  }

  /** @returns undefined when every request is run for itself. */
  private reuse(batcher: Batcher): RepeatedRequests | undefined {
    const { configuration } = this;
    const { settings, responseCache, metrics } = this.options;
    // What hooks make of a request may depend on more than its inputs.
    if (this.hooks !== undefined) return undefined;
    const keepsAnswers = settings.responseCacheMiB > 0 && configuration?.responseCache === true;
    if (!keepsAnswers && !settings.singleFlight) return undefined;
    return new RepeatedRequests({
      answers: keepsAnswers ? responseCache.open() : undefined,
      singleFlight: settings.singleFlight,
      run: (call) => this.run(batcher, call),
      secondsOf: (rows) => rows * this.secondsPerRow,
      observe: {
        hit: (lookupSeconds, savedSeconds) => {
          this.statistics.cacheHit.add(lookupSeconds);
          metrics.cacheHit(this, savedSeconds);
        },
        miss: (lookupSeconds) => {
          this.statistics.cacheMiss.add(lookupSeconds);
          metrics.cacheMiss(this);
        },
      },
    });
  }

  private planBatching(takesRows: boolean): BatchPolicy {
    const maxBatchSize = takesRows ? Math.max(1, this.maxBatchSize) : undefined;
    return planBatching(this.options.settings, maxBatchSize, this.configuration);
  }

  /** Most rows of one run, before allowed sizes; 0 when the model's configuration says that it takes no rows. */
  private get maxBatchSize(): number {
    const { reference, settings } = this.options;
    // A plan may make batches smaller than the model's author, not larger: memory and deadlines are planned by it.
    const limits = [reference.maxBatchSize, this.configuration?.maxBatchSize].filter((limit) => limit !== undefined);
    return limits.length === 0 ? settings.maxBatchSize : Math.min(...limits);
  }
}

export interface Serving {
  readonly pool: ExecutorPool;
  readonly batcher: Batcher;
  readonly repeated: RepeatedRequests | undefined;
  /** What clients send and get. */
  readonly target: InferTarget;
  /** What the model takes and gives, between its hooks. */
  readonly modelTarget: InferTarget;
}

function secondsSince(start: number): number {
  return Math.round(performance.now() - start) / 1_000;
}
