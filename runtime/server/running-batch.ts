import type { Tensor } from '../onnx/tensor-encoding';
import { joinRows } from './batch';
import type { Executor } from './executor';
import type { QueuedCall } from './queued-call';
import type { Listed } from './roster';
import type { ResourceShare } from './shared-resource';

/** Requests that share a run. */
export class RunningBatch implements Listed {
  slot = -1;
  /** Rows that the requests hold. */
  readonly rows: number;
  /** Requests whose answer somebody still waits for. */
  wanted: number;

  constructor(
    readonly executor: Executor,
    readonly calls: readonly QueuedCall[],
    /** What is to be run on the same executor afterwards: the parts of a batch that failed. */
    readonly rest: readonly (readonly QueuedCall[])[],
    readonly begunAt: number,
    readonly share: ResourceShare,
  ) {
    let rows = 0;
    for (const call of calls) {
      rows += call.call.rows;
      call.batch = this;
    }
    this.rows = rows;
    this.wanted = calls.length;
  }

  /** The inputs of one run. A request that is alone and needs no padding is not copied. */
  joinInputs(paddedRows: number): readonly Tensor[] {
    const { calls } = this;
    const { inputs } = calls[0]!.call;
    if (calls.length === 1 && paddedRows === this.rows) return inputs;
    return inputs.map((_, i) => {
      const parts = calls.map(({ call }) => call.inputs[i]!);
      return joinRows(parts, paddedRows);
    });
  }
}
