import { access } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import type { Tensor } from '../../onnx/tensor-encoding';
import type { ServerSettings } from '../../spec/environment';
import type { ModelConfiguration } from '../../spec/model-configuration';
import { HOOKS_FILE } from '../../spec/model-repository';
import { checkInput, countRows, inModelOrder } from '../check-inputs';
import { ServerError } from '../errors';
import type { InferCall } from '../infer-call';
import type { InferTarget } from '../infer-request';
import { ModelError } from '../model-error';
import { HookThread, type StartHooks } from './hook-thread';
import type { HookStage, OpenedHooks } from './hook-messages';

export interface ModelHooksOptions {
  readonly name: string;
  readonly version: number;
  readonly folder: string;
  readonly configuration: ModelConfiguration | undefined;
  /** Whether the configuration came with the version, so that its author, not the operator, names the hooks. */
  readonly isPublished: boolean;
  readonly settings: Pick<ServerSettings, 'hooks' | 'hookSeconds' | 'queueDepthRows'>;
  readonly start: StartHooks;
  readonly log: Logger;
}

/**
 * Opens the hooks of a model version: those that its configuration names or, where the operator allows it for all models,
 * the `hooks.mjs` beside it. Those that a published configuration names need the operator's word as well. Nothing in a model's folder is run otherwise.
 * @returns undefined for a model without hooks.
 * @throws ModelError when there are some and they cannot be loaded.
 */
export async function openHooks(options: ModelHooksOptions): Promise<ModelHooks | undefined> {
  const { folder, configuration, isPublished, settings, name, version, start, log } = options;
  const file = configuration?.hooks ?? (settings.hooks ? HOOKS_FILE : undefined);
  if (file === undefined) return undefined;
  if (isPublished && configuration?.hooks !== undefined && !settings.hooks) {
    throw new ModelError(`its published configuration names hooks '${file}', which run only with SLIPWAY_HOOKS=true`);
  }
  const module = path.join(folder, file);
  if (!(await isThere(module))) {
    if (configuration?.hooks === undefined) return undefined;
    throw new ModelError(`its configuration names hooks '${file}', which is not among its files`);
  }
  const parameters = Object.fromEntries(configuration?.parameters ?? []);
  const thread = new HookThread({
    start,
    hooks: { module, model: { name, version, parameters } },
    seconds: settings.hookSeconds,
    maxWaiting: settings.queueDepthRows,
    log,
  });
  const opened = await thread.open();
  log.info({ hooks: file, stages: opened.stages }, 'hooks loaded');
  return new ModelHooks(thread, opened);
}

/** The functions around one model version. */
export class ModelHooks {
  constructor(
    private readonly thread: HookThread,
    private readonly opened: OpenedHooks,
  ) {}

  /** What clients send and get: what the module says, and else what the model takes and gives. */
  target(model: InferTarget): InferTarget {
    const { inputs = model.inputs, outputs = model.outputs } = this.opened;
    const isBatched = inputs.every(({ shape }) => typeof shape[0] === 'string');
    return { ...model, inputs, outputs, maxRows: isBatched ? model.maxRows : undefined };
  }

  /**
   * Runs one request through the hooks and, between them, the model.
   * @throws ServerError HOOK_FAILED when a hook fails or returns what does not fit, INPUT_INVALID when it declines.
   */
  async infer(
    call: InferCall,
    model: InferTarget,
    run: (call: InferCall) => Promise<readonly Tensor[]>,
  ): Promise<readonly Tensor[]> {
    const outputs = await run(this.has('preprocess') ? await this.preprocess(call, model) : call);
    if (!this.has('postprocess')) return outputs;
    const returned = await this.run('postprocess', outputs, call);
    return fit('postprocess', returned, { ...model, inputs: this.target(model).outputs });
  }

  close(): Promise<void> {
    return this.thread.close();
  }

  private has(stage: HookStage): boolean {
    return this.opened.stages.includes(stage);
  }

  private async preprocess(call: InferCall, model: InferTarget): Promise<InferCall> {
    const inputs = fit('preprocess', await this.run('preprocess', call.inputs, call), model);
    try {
      return { ...call, inputs, rows: countRows(inputs, model) };
    } catch (error) {
      throw unfit('preprocess', error);
    }
  }

  private run(stage: HookStage, tensors: readonly Tensor[], call: InferCall): Promise<readonly Tensor[]> {
    return this.thread.call({ stage, tensors, parameters: call.parameters ?? {} }, call.cancellation);
  }
}

/** What a hook returned, in the order of the target's inputs, each with the datatype and a shape that fit. */
function fit(stage: HookStage, returned: readonly Tensor[], target: InferTarget): readonly Tensor[] {
  const given = new Map(returned.map((tensor) => [tensor.name, tensor]));
  try {
    const tensors = inModelOrder(given, target);
    tensors.forEach((tensor, i) => checkInput(tensor, target.inputs[i]!, target));
    return tensors;
  } catch (error) {
    throw unfit(stage, error);
  }
}

/** Checks that clients' requests pass as well: their words say what was expected, but here the hook is at fault. */
function unfit(stage: HookStage, error: unknown): unknown {
  if (!(error instanceof ServerError)) return error;
  return new ServerError('HOOK_FAILED', `${stage} of the model returned what does not fit: ${error.message}`);
}

async function isThere(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
}
