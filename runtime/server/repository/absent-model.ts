import type { Tensor } from '../../onnx/tensor-encoding';
import { ServerError } from '../errors';
import { ModelStatistics } from '../model-statistics';
import type { RegisteredModel } from './registered-model';

/** A model version that is known by name and not loaded: unloaded by hand, or refused before it was opened. */
export class AbsentModel implements RegisteredModel {
  readonly state = 'UNAVAILABLE';
  readonly isReady = false;
  readonly target = undefined;
  readonly statistics = new ModelStatistics();
  readonly arrivedRows = 0;
  readonly queuedRows = 0;
  readonly secondsPerRow = 0;
  readonly executors = 1;
  readonly longestRunSeconds = 0;
  readonly isIdle = true;

  constructor(
    readonly name: string,
    readonly version: number,
    readonly reason: string,
  ) {}

  assertReady(): never {
    throw this.notReady();
  }

  infer(): Promise<readonly Tensor[]> {
    return Promise.reject(this.notReady());
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private notReady(): ServerError {
    const { name, version, reason } = this;
    return new ServerError('MODEL_NOT_READY', `model '${name}' version ${version} is not ready: ${reason}`);
  }
}
