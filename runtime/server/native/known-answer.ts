import type { Tensor } from '../../onnx/tensor-encoding';

/** An ONNX model in base64: `y = x × w + b`, FP32, `w` 1 … 6 as [3, 2], `b` 0.5 and -0.25. */
export const KNOWN_MODEL =
  'CAgSADqSAQoTCgF4CgF3EgFwIgZNYXRNdWw6AAoQCgFwCgFiEgF5IgNBZGQ6ABIFZ3JhcGgqIwgDCAIQAUIBd0oYAACAPwAAAEAAAEBAAACAQAAAoEAA' +
  'AMBAKhEIAhABQgFiSggAAAA/AACAvloUCgF4Eg8KDQgBEgkKAxIBbgoCCANiFAoBeRIPCg0IARIJCgMSAW4KAggCQgQKABAR';

export const KNOWN_QUESTION: Tensor = {
  name: 'x',
  datatype: 'FP32',
  shape: [2, 3],
  data: Float32Array.of(1, 2, 3, -1, 0.5, 0.25),
};

/** Every number on the way has few bits, so no order of operations rounds. */
export const KNOWN_ANSWER: Tensor = {
  name: 'y',
  datatype: 'FP32',
  shape: [2, 2],
  data: Float32Array.of(22.5, 27.75, 2.25, 1.25),
};
