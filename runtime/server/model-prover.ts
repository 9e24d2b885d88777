import type { Logger } from 'pino';
import type { WarmupSample } from '../spec/model-configuration';
import { readWarmupSamples, runWarmupSamples, type ReadSample } from './configured-warmup';
import type { Executor } from './executor';
import type { FetchedModel } from './fetch-model';
import { proveModel, warmUp, type ModelProof } from './prove-model';
import type { WarmUpRuns } from './warm-up-runs';

export interface ModelProverOptions {
  readonly model: FetchedModel;
  /** Rows of the batches to warm up with. */
  readonly batchSizes: readonly number[];
  /** Of the model's configuration. */
  readonly samples: readonly WarmupSample[];
  /** Where their files lie, with a closing slash. @default - nowhere */
  readonly modelFolder?: string | undefined;
  readonly signal: AbortSignal;
  readonly runs: WarmUpRuns;
  readonly log: Logger;
}

/** Proves a model on its first executor, and makes every further one fit to serve: those that are restarted, too. */
export class ModelProver {
  private proof: ModelProof | undefined;
  private samples: readonly ReadSample[] = [];

  constructor(private readonly options: ModelProverOptions) {}

  /** @throws ModelError when the golden proof or a sample of the configuration fails, or a run does not return. */
  async prove(opened: Executor): Promise<ModelProof> {
    const { model, batchSizes, samples, modelFolder, signal, runs, log } = this.options;
    const executor = runs.watch(opened);
    if (this.proof === undefined) {
      const proof = await proveModel(executor, model, batchSizes, log);
      this.samples = await readWarmupSamples(samples, modelFolder, executor, signal);
      await runWarmupSamples(executor, this.samples);
      this.proof = proof;
    } else {
      await warmUp(executor, this.proof, batchSizes);
      await runWarmupSamples(executor, this.samples);
    }
    return this.proof;
  }
}
