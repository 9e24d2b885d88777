"""Quantizes an ONNX model to 8 bits with ONNX Runtime's own tools."""

from __future__ import annotations

import glob
import logging
import math
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any, Iterator

from slipway_tool import ToolError, one_line, progress

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import version_converter  # noqa: E402
from onnxruntime.quantization import (  # noqa: E402
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    create_calibrator,
    quant_pre_process,
    quantize_dynamic,
    quantize_static,
    save_tensors_data,
)
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry  # noqa: E402

METHODS = {
    "min-max": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
# What ONNX Runtime has 8-bit kernels for and what carries nearly all operations; the rest rides along between them.
SENSITIVE = ("Conv", "ConvTranspose", "Gemm", "MatMul")


NARROW = (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)


OPSET_OF_AXES = 13


# On both sides of zero.
ENTROPY_BINS = 1024


class Rows(CalibrationDataReader):
    """Batches that lie in a folder as <batch>/<place of the input>.npy."""

    def __init__(self, folder: str, names: list[str], batches: int) -> None:
        self._folders = sorted(glob.glob(os.path.join(folder, "*")))[:batches]
        self._names = names
        self._left: Iterator[str] = iter(self._folders)
        self._done = 0

    def get_next(self) -> dict[str, np.ndarray] | None:
        folder = next(self._left, None)
        if folder is None:
            return None
        self._done += 1
        if self._done % 8 == 1:
            progress(f"calibration: batch {self._done} of {len(self._folders)}")
        return read_batch(folder, self._names)

    def rewind(self) -> None:
        self._left = iter(self._folders)


def read_batch(folder: str, names: list[str]) -> dict[str, np.ndarray]:
    return {name: np.load(os.path.join(folder, f"{i}.npy"), allow_pickle=False) for i, name in enumerate(names)}


def run(request: dict[str, Any]) -> dict[str, Any]:
    source, output = request["model"], request["output"]
    with tempfile.TemporaryDirectory() as scratch:
        prepared = os.path.join(scratch, "prepared.onnx")
        prepare(with_axes(source, request, scratch), prepared, source)
        excluded = list(request["exclude"])
        unknown = sorted(set(excluded) - node_names(prepared) - node_names(source))
        if unknown:
            raise ToolError("LAYER_UNKNOWN", unknown[0], f"no node of the model is called so; slipway model inspect --json lists them")
        sensitivity: list[dict[str, Any]] = []
        if request["mode"] == "static" and request["sensitivity"]:
            sensitivity = measure(prepared, request, scratch)
            excluded += [each["node"] for each in sensitivity[: request["excludeMost"]]]
        quantize(prepared, output, request, excluded, scratch)
        if quantized(output) <= quantized(source):
            why = "all nodes that could be were left out" if excluded else "no node of the graph itself has weights that 8 bits are made of"
            raise ToolError("NOTHING_TO_CHANGE", source_name(request), f"has nothing to quantize: {why}")
    return {"excluded": excluded, "sensitivity": sensitivity, "nodes": count(output)}


def with_axes(source: str, request: dict[str, Any], scratch: str) -> str:
    """A scale for each channel needs an axis, which DequantizeLinear has from opset 13 on: an older model is brought there."""
    opset = next((each.version for each in onnx.load(source, load_external_data=False).opset_import if each.domain in ("", "ai.onnx")), 0)
    if request["mode"] == "dynamic" or not request["perChannel"] or opset >= OPSET_OF_AXES:
        return source
    progress(f"from opset {opset} to {OPSET_OF_AXES}")
    converted = os.path.join(scratch, "converted.onnx")
    try:
        onnx.save(version_converter.convert_version(onnx.load(source), OPSET_OF_AXES), converted)
    except Exception as error:  # noqa: BLE001
        why = f"has opset {opset}, and scales for each channel need {OPSET_OF_AXES}, to which it cannot be brought: {one_line(error)}"
        raise ToolError("QUANTIZATION_FAILED", source, f"{why}: give --per-tensor, or export it again") from None
    return converted


def prepare(source: str, prepared: str, where: str) -> None:
    """Shapes and fused nodes, which the quantizer needs to place its scales."""
    graph = onnx.load(source, load_external_data=False).graph
    if graph.sparse_initializer:
        name = graph.sparse_initializer[0].values.name
        raise ToolError("QUANTIZATION_FAILED", where, f"stores '{name}' sparse, which the quantizer cannot read: quantize the model before it is sparsified")
    narrow = next((each for each in graph.initializer if each.data_type in NARROW and len(each.dims) > 1), None)
    if narrow is not None:
        raise ToolError("QUANTIZATION_FAILED", where, f"has '{narrow.name}' in half floats, which the quantizer cannot read: quantize the model with FP32 weights")
    progress("shapes and fusions before quantization")
    for symbolic in (False, True):
        try:
            # Symbolic shape inference fails on some graphs that plain inference can do.
            quant_pre_process(source, prepared, skip_symbolic_shape=symbolic)
            return
        except Exception as error:  # noqa: BLE001
            if symbolic:
                raise ToolError("QUANTIZATION_FAILED", where, f"cannot be prepared: {one_line(error)}") from None


def node_names(path: str) -> set[str]:
    return {node.name for node in onnx.load(path, load_external_data=False).graph.node}


def quantize(source: str, output: str, request: dict[str, Any], excluded: list[str], scratch: str, only: list[str] | None = None) -> None:
    # Above it a model cannot be one file.
    large = os.path.getsize(source) > 1_500_000_000
    try:
        if request["mode"] == "dynamic":
            progress("quantizing weights")
            quantize_dynamic(
                source,
                output,
                per_channel=request["perChannel"],
                weight_type=QuantType.QInt8,
                nodes_to_exclude=excluded,
                use_external_data_format=large,
                extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
            )
            return
        reader = Rows(request["calibration"], request["inputs"], request["batches"])
        # Ranges are the same however many nodes are quantized: they are found once.
        ranges = os.path.join(scratch, "ranges.json")
        if request["method"] == "entropy" and not os.path.exists(ranges):
            find_by_entropy(source, reader, ranges, scratch, large)
        quantize_static(
            source,
            output,
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=request["perChannel"],
            reduce_range=request["reduceRange"],
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=only,
            nodes_to_exclude=excluded,
            use_external_data_format=large,
            calibrate_method=METHODS[request["method"]],
            calibration_cache_path=ranges,
            extra_options={"CalibPercentile": request["percentile"], "ActivationSymmetric": False, "WeightSymmetric": True},
        )
    except ToolError:
        raise
    except Exception as error:  # noqa: BLE001
        raise ToolError("QUANTIZATION_FAILED", source_name(request), one_line(error)) from None


def find_by_entropy(source: str, reader: Rows, ranges: str, scratch: str, large: bool) -> None:
    """The quantizer itself counts values in as many bins as 8 bits have, among which there is no narrower range to choose, and has no
    option for more."""
    calibrator = create_calibrator(
        Path(source),
        sorted({*QLinearOpsRegistry, *QDQRegistry}),
        augmented_model_path=os.path.join(scratch, "augmented.onnx"),
        calibrate_method=CalibrationMethod.Entropy,
        use_external_data_format=large,
        extra_options={"num_bins": ENTROPY_BINS},
    )
    calibrator.collect_data(reader)
    progress("calibration: choosing ranges by entropy")
    save_tensors_data(calibrator.compute_data(), ranges)


def source_name(request: dict[str, Any]) -> str:
    return os.path.basename(request["model"])


def measure(prepared: str, request: dict[str, Any], scratch: str) -> list[dict[str, Any]]:
    """How far the outputs move when one node alone is quantized, worst first: root mean square of the change as a share of that
    of the output."""
    nodes = [node.name for node in onnx.load(prepared, load_external_data=False).graph.node if node.op_type in SENSITIVE]
    batches = [
        read_batch(folder, request["inputs"])
        for folder in sorted(glob.glob(os.path.join(request["calibration"], "*")))[: request["sensitivityBatches"]]
    ]
    expected = [run_model(prepared, batch) for batch in batches]
    alone = os.path.join(scratch, "alone.onnx")
    measured = []
    for i, node in enumerate(nodes):
        progress(f"sensitivity: node {i + 1} of {len(nodes)}")
        quantize(prepared, alone, request, [], scratch, [node])
        got = [run_model(alone, batch) for batch in batches]
        squares = sum(float(np.sum((a - b) ** 2)) for x, y in zip(expected, got) for a, b in zip(x, y))
        whole = sum(float(np.sum(a**2)) for x in expected for a in x)
        change = (squares / whole) ** 0.5 if whole != 0 else 0.0
        if not math.isfinite(change):
            why = "gives outputs that are no numbers on the calibration data, so that no change can be measured"
            raise ToolError("QUANTIZATION_FAILED", source_name(request), f"{why}: give other rows, or name nodes with --exclude")
        measured.append({"node": node, "change": change})
    return sorted(measured, key=lambda each: -each["change"])


def run_model(path: str, batch: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [np.asarray(each, dtype=np.float64) for each in session.run(None, batch) if np.asarray(each).dtype.kind in "fiu"]


def quantized(path: str) -> int:
    """Nodes that make or take 8-bit numbers."""
    words = ("Quantize", "Integer", "QLinear")
    return sum(number for operator, number in count(path).items() if any(word in operator for word in words))


def count(path: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for node in onnx.load(path, load_external_data=False).graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    return counts
