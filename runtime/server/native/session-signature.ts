import type { TensorSignature } from '../../spec/model-facts';
import { SessionError } from '../executor';
import { datatypeOf } from './element-type';
import type { OrtApi } from './ort-api';

/** Inputs and outputs of a session, in the model's order. */
export interface SessionSignature {
  readonly inputs: readonly TensorSignature[];
  readonly outputs: readonly TensorSignature[];
}

/** @throws SessionError when an input or output is not a tensor that can be served. */
export function readSignature(api: OrtApi, session: bigint): SessionSignature {
  const { call } = api;
  return {
    inputs: readTensors(
      api,
      session,
      call.SessionGetInputCount,
      call.SessionGetInputName,
      call.SessionGetInputTypeInfo,
    ),
    outputs: readTensors(
      api,
      session,
      call.SessionGetOutputCount,
      call.SessionGetOutputName,
      call.SessionGetOutputTypeInfo,
    ),
  };
}

type Call = OrtApi['call'][keyof OrtApi['call']];

function readTensors(
  api: OrtApi,
  session: bigint,
  getCount: Call,
  getName: Call,
  getTypeInfo: Call,
): readonly TensorSignature[] {
  const count = Number(api.pointer((out) => getCount(session, out)));
  const allocator = api.pointer((out) => api.call.GetAllocatorWithDefaultOptions(out));
  return Array.from({ length: count }, (_, i) => {
    const nameAddress = api.pointer((out) => getName(session, i, allocator, out));
    const name = api.text(nameAddress);
    api.call.AllocatorFree(allocator, nameAddress);
    const typeInfo = api.pointer((out) => getTypeInfo(session, i, out));
    try {
      return readTensor(api, name, typeInfo);
    } finally {
      api.release.ReleaseTypeInfo(typeInfo);
    }
  });
}

function readTensor(api: OrtApi, name: string, typeInfo: bigint): TensorSignature {
  // Owned by the type info.
  const info = api.pointer((out) => api.call.CastTypeInfoToTensorInfo(typeInfo, out));
  if (info === 0n) throw new SessionError(`'${name}' is a sequence, map or optional value; only tensors can be served`);
  const elementType = new Int32Array(1);
  api.call.GetTensorElementType(info, elementType);
  const datatype = datatypeOf(elementType[0]!);
  if (datatype === undefined) {
    throw new SessionError(`'${name}' has ONNX element type ${elementType[0]}, which is not served`);
  }
  const rank = Number(api.pointer((out) => api.call.GetDimensionsCount(info, out)));
  const sizes = new BigInt64Array(rank);
  const names = new BigUint64Array(rank);
  if (rank > 0) {
    api.call.GetDimensions(info, sizes, rank);
    api.call.GetSymbolicDimensions(info, names, rank);
  }
  const shape = [...sizes].map((size, i) => (size >= 0n ? Number(size) : api.text(names[i]!)));
  return { name, datatype, shape };
}
