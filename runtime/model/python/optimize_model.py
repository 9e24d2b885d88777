"""Makes the graph of an ONNX model simpler, or its numbers half as wide, with the tools of onnx's neighbourhood."""

from __future__ import annotations

import os
import warnings
from typing import Any

from slipway_tool import ToolError, one_line, progress

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
warnings.filterwarnings("ignore")

import onnx  # noqa: E402


def run(request: dict[str, Any]) -> dict[str, Any]:
    source, output = request["model"], request["output"]
    try:
        model = onnx.load(source)
    except Exception as error:  # noqa: BLE001
        raise ToolError("OPTIMIZATION_FAILED", source, one_line(error)) from None
    before = len(model.graph.node)
    if request["simplify"]:
        model = simplify(model, source)
    if request["precision"] == "fp16":
        model = halve(model, source, request["keepIo"], request["blocked"])
    save(model, output)
    return {"nodesBefore": before, "nodesAfter": len(model.graph.node)}


def simplify(model: onnx.ModelProto, source: str) -> onnx.ModelProto:
    progress("simplifying the graph")
    import onnxslim

    try:
        return onnxslim.slim(model)
    except Exception as error:  # noqa: BLE001
        raise ToolError("OPTIMIZATION_FAILED", source, f"cannot be simplified: {one_line(error)}") from None


def halve(model: onnx.ModelProto, source: str, keep_io: bool, blocked: list[str]) -> onnx.ModelProto:
    progress("weights and values as FP16")
    from onnxconverter_common import float16

    try:
        return float16.convert_float_to_float16(
            model,
            keep_io_types=keep_io,
            node_block_list=blocked or None,
            # Graphs beyond 2 GB have their shapes already, or cannot have them inferred in memory.
            disable_shape_infer=model.ByteSize() > 1_500_000_000,
        )
    except Exception as error:  # noqa: BLE001
        raise ToolError("OPTIMIZATION_FAILED", source, f"cannot be made FP16: {one_line(error)}") from None


def save(model: onnx.ModelProto, output: str) -> None:
    large = model.ByteSize() > 1_500_000_000
    onnx.save(
        model,
        output,
        save_as_external_data=large,
        all_tensors_to_one_file=True,
        location=os.path.basename(output) + ".data" if large else None,
    )
