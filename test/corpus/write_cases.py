"""Writes ONNX's own backend node tests as files: `<folder>/<case>.onnx`, `<folder>/<case>.bin` with its inputs one after
the other as the Open Inference Protocol carries them, and `<folder>/cases.json`.

Cases whose inputs or outputs are no tensors of a datatype that the protocol and the binding carry are counted, not written.
`sample` is how many cases to choose so that as many datatypes, ranks and operators as possible are among them."""

import json
import pathlib
import struct
import sys
import warnings

import numpy as np
import onnx

warnings.filterwarnings("ignore")
from onnx.backend.test.case.node import collect_testcases  # noqa: E402

DATATYPES = {
    onnx.TensorProto.BOOL: ("BOOL", np.dtype("?")),
    onnx.TensorProto.UINT8: ("UINT8", np.dtype("<u1")),
    onnx.TensorProto.UINT16: ("UINT16", np.dtype("<u2")),
    onnx.TensorProto.UINT32: ("UINT32", np.dtype("<u4")),
    onnx.TensorProto.UINT64: ("UINT64", np.dtype("<u8")),
    onnx.TensorProto.INT8: ("INT8", np.dtype("<i1")),
    onnx.TensorProto.INT16: ("INT16", np.dtype("<i2")),
    onnx.TensorProto.INT32: ("INT32", np.dtype("<i4")),
    onnx.TensorProto.INT64: ("INT64", np.dtype("<i8")),
    onnx.TensorProto.FLOAT16: ("FP16", np.dtype("<f2")),
    onnx.TensorProto.FLOAT: ("FP32", np.dtype("<f4")),
    onnx.TensorProto.DOUBLE: ("FP64", np.dtype("<f8")),
    onnx.TensorProto.STRING: ("BYTES", np.dtype(object)),
}


def datatype_of(value):
    if value.type.WhichOneof("value") != "tensor_type":
        return None
    return DATATYPES.get(value.type.tensor_type.elem_type)


def encode(array, dtype):
    if dtype != np.dtype(object):
        return np.ascontiguousarray(array, dtype=dtype).tobytes()
    elements = [e if isinstance(e, bytes) else str(e).encode() for e in array.reshape(-1)]
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def read_inputs(case):
    """Name, datatype, array and bytes of each input, or None when it cannot be carried."""
    graph = case.model.graph
    if any(datatype_of(value) is None for value in [*graph.input, *graph.output]):
        return None
    given, _ = case.data_sets[0]
    inputs = []
    for value, array in zip(graph.input, given, strict=True):
        datatype, dtype = datatype_of(value)
        if isinstance(array, onnx.TensorProto):
            array = onnx.numpy_helper.to_array(array)
        array = np.asarray(array)
        inputs.append((value.name, datatype, array.shape, encode(array, dtype)))
    return inputs


def features(case, inputs):
    yield "op", case.model.graph.node[0].op_type
    for _, datatype, shape, _ in inputs:
        yield "input", datatype, len(shape)
        if 0 in shape:
            yield "empty", datatype
    for value in case.model.graph.output:
        yield "output", datatype_of(value)[0]
    yield "inputs", len(inputs)
    yield "outputs", len(case.model.graph.output)


def choose(cases, sample):
    """Those that bring the most of what has not been seen, one after the other."""
    left = [(case, inputs, set(features(case, inputs))) for case, inputs in cases]
    seen, chosen = set(), []
    while left and len(chosen) < sample:
        best = max(range(len(left)), key=lambda i: len(left[i][2] - seen))
        if not left[best][2] - seen:
            # Nothing is new any more: as far apart as possible.
            step = max(1, len(left) // (sample - len(chosen)))
            chosen += [entry[:2] for entry in left[::step]][: sample - len(chosen)]
            break
        case, inputs, new = left.pop(best)
        seen |= new
        chosen.append((case, inputs))
    return chosen


def main(folder, sample):
    every = collect_testcases(None)
    carried = [(case, inputs) for case in every if (inputs := read_inputs(case)) is not None]
    chosen = carried if sample == 0 else choose(carried, sample)
    cases = []
    for case, inputs in chosen:
        (folder / f"{case.name}.onnx").write_bytes(case.model.SerializeToString())
        (folder / f"{case.name}.bin").write_bytes(b"".join(data for *_, data in inputs))
        cases.append(
            {
                "name": case.name,
                "inputs": [
                    {"name": name, "datatype": datatype, "shape": list(shape), "bytes": len(data)}
                    for name, datatype, shape, data in inputs
                ],
            }
        )
    summary = {"onnx": onnx.__version__, "all": len(every), "carried": len(carried), "cases": cases}
    (folder / "cases.json").write_text(json.dumps(summary))


main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
