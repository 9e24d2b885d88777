import type { Tensor, TensorData } from '../../onnx/tensor-encoding';

/** Tensors on their way to another thread, and the buffers that go along instead of being copied. */
export interface MovableTensors {
  readonly tensors: readonly Tensor[];
  readonly transfer: ArrayBuffer[];
}

/**
 * A part of a buffer is copied, because a message takes whole buffers, and the rest may be somebody else's; so are numbers
 * in a shared buffer. A whole buffer moves where `moves` allows it: whoever held it then holds nothing.
 */
export function movable(tensors: readonly Tensor[], moves: boolean): MovableTensors {
  const transfer = new Set<ArrayBuffer>();
  const moved = tensors.map((tensor) => {
    if (!ArrayBuffer.isView(tensor.data)) return tensor;
    const isWhole =
      tensor.data.buffer instanceof ArrayBuffer &&
      tensor.data.byteLength === tensor.data.buffer.byteLength &&
      !transfer.has(tensor.data.buffer);
    const data = isWhole ? tensor.data : copyOf(tensor.data);
    if (!isWhole || moves) transfer.add(data.buffer as ArrayBuffer);
    return { ...tensor, data };
  });
  return { tensors: moved, transfer: [...transfer] };
}

function copyOf(data: Exclude<TensorData, readonly string[]>): Exclude<TensorData, readonly string[]> {
  // `slice` of Node's Buffer is a view.
  return Buffer.isBuffer(data) ? new Uint8Array(data) : data.slice();
}
