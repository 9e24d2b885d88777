import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { Tensor } from '../onnx/tensor-encoding';
import type { ModelConfiguration } from '../spec/model-configuration';
import { checkSteps, planEnsemble, type EnsemblePlan, type PlannedStep } from './ensemble-plan';
import { EnsembleRun } from './ensemble-run';
import { ServerError, toServerError } from './errors';
import type { InferCall } from './infer-call';
import type { InferTarget } from './infer-request';
import type { Metrics } from './metrics';
import { ModelError } from './model-error';
import { ModelStatistics } from './model-statistics';
import type { LoadableModel } from './repository/model-version';
import type { ModelState, Servable } from './servable';
import type { ServedModels } from './served-models';

export interface EnsembleOptions {
  readonly name: string;
  readonly version: number;
  readonly configuration: ModelConfiguration;
  /** The models of this replica, among them those of the steps. */
  readonly models: () => Pick<ServedModels, 'acquire' | 'find'>;
  readonly log: Logger;
  readonly metrics: Pick<Metrics, 'forget'>;
}

/** How deep ensembles may use ensembles: whether one is ready is asked through all of them, several times at each. */
const MAX_DEPTH = 4;
/** Ensembles that are being asked why they are not ready, each by the one above it. */
let asked = 0;

/**
 * Models of this replica that run one after another or side by side on the server, as one model. It has no executor of its
 * own: each step waits in its model's own queue, and shares runs with whoever else asks that model.
 */
export class Ensemble implements LoadableModel {
  readonly name: string;
  readonly version: number;
  readonly configuration: ModelConfiguration;
  readonly statistics = new ModelStatistics();
  /** Its steps are the demand, and are counted where they run. */
  readonly arrivedRows = 0;
  readonly queuedRows = 0;
  readonly secondsPerRow = 0;
  readonly executors = 1;
  readonly longestRunSeconds = 0;
  private plan: EnsemblePlan | undefined;
  private failure = 'loading';
  private running = 0;
  private isAsked = false;
  /** What the plan was last checked against, and how that came out. */
  private checked: readonly InferTarget[] = [];
  private mismatch = '';

  constructor(private readonly options: EnsembleOptions) {
    this.name = options.name;
    this.version = options.version;
    this.configuration = options.configuration;
  }

  /** Plans the steps. Whether their models are there and ready is asked whenever somebody wants to know. */
  load(): Promise<void> {
    const { name, version, log } = this.options;
    try {
      this.plan = planEnsemble(name, this.configuration);
      log.info({ model: name, version, steps: this.plan.steps.length }, 'ensemble planned');
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      this.failure = error.message;
      log.error({ model: name, version, reason: this.failure }, 'model cannot be served');
    }
    return Promise.resolve();
  }

  get target(): InferTarget | undefined {
    return this.plan?.target;
  }

  get isReady(): boolean {
    return this.reason === '';
  }

  get state(): ModelState {
    if (this.isReady) return 'READY';
    return this.plan !== undefined && this.lookUpSteps().some((found) => found.model?.state === 'LOADING')
      ? 'LOADING'
      : 'UNAVAILABLE';
  }

  /** Why it is not ready: what is wrong with it, or which step's model is not. */
  get reason(): string {
    if (this.plan === undefined) return this.failure;
    if (this.isAsked) return 'its steps lead back to itself';
    if (asked >= MAX_DEPTH) return `ensembles use each other more than ${MAX_DEPTH} deep`;
    this.isAsked = true;
    asked += 1;
    try {
      return this.reasonOf(this.plan);
    } finally {
      asked -= 1;
      this.isAsked = false;
    }
  }

  get isIdle(): boolean {
    return this.running === 0;
  }

  /** @throws ServerError MODEL_NOT_READY with the reason. */
  assertReady(): { readonly target: InferTarget; readonly plan: EnsemblePlan } {
    const { plan, reason } = this;
    if (plan !== undefined && reason === '') return { target: plan.target, plan };
    const { name, version } = this;
    throw new ServerError('MODEL_NOT_READY', `model '${name}' version ${version} is not ready: ${reason}`);
  }

  async infer(call: InferCall): Promise<readonly Tensor[]> {
    const { plan } = this.assertReady();
    this.running += 1;
    const begunAt = performance.now();
    try {
      const outputs = await new EnsembleRun(plan, call, (step, run) => this.runStep(step, call, run)).outputs();
      this.statistics.rows += call.rows;
      this.statistics.executions += 1;
      this.statistics.run.add((performance.now() - begunAt) / 1_000);
      return outputs;
    } finally {
      this.running -= 1;
    }
  }

  close(): Promise<void> {
    this.options.metrics.forget(this);
    return Promise.resolve();
  }

  private reasonOf(plan: EnsemblePlan): string {
    const targets: InferTarget[] = [];
    for (const { step, model, reason } of this.lookUpSteps()) {
      if (model?.target === undefined || reason !== '') return `${step.title} is not ready: ${reason}`;
      targets.push(model.target);
    }
    return this.check(plan, targets);
  }

  private async runStep(
    step: PlannedStep,
    call: InferCall,
    run: (model: Servable) => Promise<readonly Tensor[]>,
  ): Promise<readonly Tensor[]> {
    const begunAt = performance.now();
    const lease = await this.options.models().acquire(selectorOf(step), call.cancellation);
    const { model } = lease;
    model.statistics.lastInferenceMs = Date.now();
    try {
      const outputs = await run(model);
      model.statistics.success.add((performance.now() - begunAt) / 1_000);
      return outputs;
    } catch (error) {
      model.statistics.failed((performance.now() - begunAt) / 1_000, toServerError(error).outcome);
      throw error;
    } finally {
      lease.release();
    }
  }

  private lookUpSteps(): readonly { readonly step: PlannedStep; readonly model?: Servable; readonly reason: string }[] {
    return (this.plan?.steps ?? []).map((step) => {
      try {
        const model = this.options.models().find(selectorOf(step));
        return { step, model, reason: model.reason };
      } catch (error) {
        if (error instanceof ServerError) return { step, reason: error.message };
        throw error;
      }
    });
  }

  /** Once for each set of models: a reload may bring one that takes something else. */
  private check(plan: EnsemblePlan, targets: readonly InferTarget[]): string {
    const isSame = targets.length === this.checked.length && targets.every((target, i) => target === this.checked[i]);
    if (isSame) return this.mismatch;
    this.checked = targets;
    try {
      checkSteps(plan, targets);
      this.mismatch = '';
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      this.mismatch = error.message;
    }
    return this.mismatch;
  }
}

function selectorOf({ modelName, modelVersion }: PlannedStep): { readonly name: string; readonly version?: string } {
  return modelVersion === undefined ? { name: modelName } : { name: modelName, version: String(modelVersion) };
}
