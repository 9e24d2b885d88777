import type { Tensor } from '../onnx/tensor-encoding';
import { copyTensor, joinRows } from './batch';
import type { Executor } from './executor';
import type { QueuedCall } from './queued-call';
import { MEMORY } from './reusable-memory';
import type { Listed } from './roster';
import type { ResourceShare } from './shared-resource';

/** Requests that share a run. */
export class RunningBatch implements Listed {
  slot = -1;
  /** Rows that the requests hold. */
  readonly rows: number;
  /** Requests whose answer somebody still waits for. */
  wanted: number;
  /** When it began; meaningless before. */
  begunAt = 0;
  /** Its part of what it runs on; undefined before it begins. */
  share: ResourceShare | undefined;
  /** The batch that runs on the same executor now, if this one was handed over ahead and has not begun. */
  lead: RunningBatch | undefined;
  /** The batch that the executor begins when this one ends. */
  ahead: RunningBatch | undefined;

  constructor(
    readonly executor: Executor,
    readonly calls: readonly QueuedCall[],
    /** What is to be run on the same executor afterwards: the parts of a batch that failed. */
    public rest: readonly (readonly QueuedCall[])[] = [],
  ) {
    let rows = 0;
    for (const call of calls) {
      rows += call.call.rows;
      call.batch = this;
    }
    this.rows = rows;
    this.wanted = calls.length;
  }

  /** The inputs of one run. A request that is alone and needs no padding is not copied, unless it may have to run again. */
  joinInputs(paddedRows: number): readonly Tensor[] {
    const { calls } = this;
    const { inputs } = calls[0]!.call;
    if (calls.length === 1 && paddedRows === this.rows)
      return this.lead === undefined ? inputs : inputs.map(copyTensor);
    return inputs.map((_, i) => {
      const parts = calls.map(({ call }) => call.inputs[i]!);
      return joinRows(parts, paddedRows);
    });
  }

  /** Gives back the memory of requests that were copied into a batch, once nothing can make them run again. */
  releaseInputs(): void {
    for (const { call } of this.calls) {
      for (const { data } of call.inputs) if (ArrayBuffer.isView(data)) MEMORY.reclaim(data.buffer as ArrayBuffer);
    }
  }
}
