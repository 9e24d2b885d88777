"""PyTorch to ONNX, by torch.onnx: modules made by a factory, exported programs (.pt2) and TorchScript."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import warnings
from typing import Any

import numpy as np
from slipway_convert import (
    Arrays,
    Input,
    answer_cases,
    describe,
    failed,
    free_names,
    inputs_of_sample,
    make_cases,
    name_dimensions,
    read_sample,
    refuse_inputs,
    rename_outputs,
)
from slipway_tool import ToolError, one_line, progress


def run(request: dict[str, Any]) -> dict[str, Any]:
    source = request["source"]
    if not source["trusted"]:
        # torch.export.load and others fall back to pickle by themselves; this makes each torch.load refuse it.
        os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    warnings.filterwarnings("ignore")
    progress("loading PyTorch")
    import onnx
    import torch

    torch.manual_seed(0)
    network, kind = load(source)
    sample = read_sample(request["samples"])
    inputs = inputs_of(request, network, kind, sample)
    cases = make_cases(inputs, sample)
    order = [one["name"] for one in inputs]
    callable_network = network.module() if kind == "program" else network

    def answer(case: Arrays) -> list[tuple[str, np.ndarray]]:
        with torch.no_grad():
            result = callable_network(*[torch.from_numpy(case[name]) for name in order])
        return [(f"output_{i}", array_of(tensor)) for i, (_, tensor) in enumerate(flat(result))]

    try:
        answered = answer_cases(cases, request["folder"], answer)
    except ToolError:
        raise
    except Exception as error:
        raise refuse_inputs(f"the network does not take {describe(inputs)}: {one_line(error)}") from error

    names = request["outputs"] or output_names(callable_network, cases[0], order)
    progress("exporting with torch.onnx")
    first = tuple(torch.from_numpy(cases[0][name]) for name in order)
    target = request["output"]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            export(torch, network, kind, first, inputs, names, request["opset"], target)
    except Exception as error:
        raise failed(source["path"], error) from error
    model = onnx.load(target, load_external_data=False)
    if kind != "script":
        rename_outputs(model, request["outputs"] or free_names(model, names))
    name_dimensions(model, inputs, answered)
    onnx.save(model, target)
    return {
        "kind": {"module": "PyTorch module", "program": "torch.export program", "script": "TorchScript"}[kind],
        "inputs": inputs,
        "cases": answered,
        "notes": [],
    }


def load(source: dict[str, Any]) -> tuple[Any, str]:
    import torch

    path = source["path"]
    try:
        if source["kind"] == "torch-program":
            return load_program(path, source["trusted"]), "program"
        if source["kind"] == "torch-script":
            return torch.jit.load(path, map_location="cpu").eval(), "script"
    except ToolError:
        raise
    except Exception as error:
        raise ToolError("SOURCE_UNREADABLE", path, f"PyTorch cannot load it: {one_line(error)}") from error
    if source["kind"] == "torch-factory":
        return build(path, source["factory"], source["weights"]), "module"
    return load_pickled(path, source["trusted"]), "module"


def load_program(path: str, trusted: bool) -> Any:
    import torch

    if not trusted:
        import torch.export.pt2_archive._package as package

        class NoPickle:
            def __getattr__(self, name: str) -> Any:
                raise ToolError("SOURCE_UNSAFE", path, "holds pickled objects, which can run any code: --trust-pickle loads it")

        package.pickle = NoPickle()
        # Its constants of other classes go the same way in C++.
        torch._C._pickle_load_obj = NoPickle().__getattr__
    return torch.export.load(path)


def load_pickled(path: str, trusted: bool) -> Any:
    """A file of torch.save: weights alone, or a whole network, which is a pickle."""
    import torch

    if trusted:
        # The pickle names the classes of the network; their code lies beside it, or is installed.
        sys.path.insert(0, os.path.dirname(path))
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=not trusted)
    except Exception as error:
        if trusted:
            raise ToolError("SOURCE_UNREADABLE", path, f"PyTorch cannot load it: {one_line(error)}") from error
        raise ToolError(
            "SOURCE_UNSAFE",
            path,
            "is a pickle of more than weights, and loading one can run any code: save its state_dict and convert net.py:build with --weights, or say --trust-pickle if you made it",
        ) from error
    if isinstance(loaded, torch.nn.Module):
        return loaded.eval()
    raise ToolError(
        "SOURCE_UNKNOWN", path, "holds weights and no network: convert the code that builds it, net.py:build, with --weights this file"
    )


def build(path: str, factory: str, weights: str | None) -> Any:
    """Calls the function of the user's file that makes the network, and fills in the weights."""
    import torch

    folder = os.path.dirname(path)
    sys.path.insert(0, folder)
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    where = f"{os.path.basename(path)}:{factory}"
    try:
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except BaseException as error:
        raise ToolError("SOURCE_UNREADABLE", path, f"cannot be imported: {type(error).__name__}: {one_line(error)}") from error
    make = getattr(module, factory, None)
    if not callable(make):
        raise ToolError("SOURCE_UNREADABLE", path, f"has no function '{factory}' that builds the network")
    try:
        network = make()
    # SystemExit, too: scripts end themselves when they do not like how they are called.
    except BaseException as error:
        raise ToolError("SOURCE_UNREADABLE", where, f"failed: {type(error).__name__}: {one_line(error)}") from error
    if not isinstance(network, torch.nn.Module):
        raise ToolError("SOURCE_UNREADABLE", where, f"must return a torch.nn.Module, got {type(network).__name__}")
    if weights is not None:
        fill(network, weights)
    return network.eval()


def fill(network: Any, weights: str) -> None:
    import torch

    try:
        if weights.endswith(".safetensors"):
            from safetensors.torch import load_file

            state = load_file(weights)
        else:
            state = torch.load(weights, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ToolError(
            "SOURCE_UNSAFE" if "weights_only" in str(error) or "Unsupported global" in str(error) else "SOURCE_UNREADABLE",
            weights,
            f"must hold weights alone (a state_dict, or .safetensors): {one_line(error)}",
        ) from error
    # Checkpoints keep the weights beside the state of the training.
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    try:
        network.load_state_dict(state)
    except Exception as error:
        raise ToolError("SOURCE_UNREADABLE", weights, f"does not fit the network: {one_line(error)}") from error


def inputs_of(request: dict[str, Any], network: Any, kind: str, sample: Arrays | None) -> list[Input]:
    if kind == "program":
        return inputs_of_program(network, request["inputs"])
    if request["inputs"] is not None:
        return request["inputs"]
    if sample is not None:
        return inputs_of_sample(sample)
    raise refuse_inputs("a PyTorch network does not say what it takes: give --input name=float32[batch,3,32,32], or --samples with an example")


def inputs_of_program(program: Any, given: list[Input] | None) -> list[Input]:
    """An exported program fixes its shapes; names and sizes of its dynamic dimensions are the author's."""
    import torch

    names = list(program.graph_signature.user_inputs)
    values = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    if len(values) != len(names) or not all(isinstance(value, torch.Tensor) for value in values):
        raise ToolError("CONVERSION_FAILED", "inputs", "a program must take tensors alone")
    inputs: list[Input] = []
    for i, (name, value) in enumerate(zip(names, values)):
        shape: list[Any] = []
        sizes: dict[str, int] = {}
        for k, size in enumerate(value.shape):
            if isinstance(size, int):
                shape.append(size)
                continue
            dimension = "batch" if k == 0 else f"{name}_{k}"
            shape.append(dimension)
            sizes[dimension] = int(size.node.hint or 16)
        inputs.append({"name": name, "datatype": str(value.dtype).removeprefix("torch."), "shape": shape, "sizes": sizes})
    if given is not None:
        if [(one["datatype"], len(one["shape"])) for one in given] != [(one["datatype"], len(one["shape"])) for one in inputs]:
            raise refuse_inputs(f"the program was exported for {describe(inputs)}, got {describe(given)}")
        for one, wanted in zip(inputs, given):
            one["name"] = wanted["name"]
    return inputs


def export(
    torch: Any, network: Any, kind: str, first: tuple[Any, ...], inputs: list[Input], names: list[str], opset: int, target: str
) -> None:
    order = [one["name"] for one in inputs]
    if kind == "script":
        axes = {
            one["name"]: {k: size for k, size in enumerate(one["shape"]) if isinstance(size, str)} for one in inputs
        }
        if any(one["shape"][:1] == ["batch"] for one in inputs):
            axes |= {name: {0: "batch"} for name in names}
        torch.onnx.export(
            network, first, target, dynamo=False, input_names=order, output_names=names, opset_version=opset, dynamic_axes=axes
        )
        return
    if kind == "program":
        program = torch.onnx.export(network, dynamo=True, input_names=order, opset_version=opset, verbose=False)
    else:
        dimensions: dict[str, Any] = {}
        shapes = tuple(
            {k: dimensions.setdefault(size, torch.export.Dim(size)) for k, size in enumerate(one["shape"]) if isinstance(size, str)}
            for one in inputs
        )
        program = torch.onnx.export(
            network,
            first,
            dynamo=True,
            input_names=order,
            dynamic_shapes=shapes,
            opset_version=opset,
            verbose=False,
        )
    separate_outputs(program.model.graph)
    program.save(target)


def separate_outputs(graph: Any) -> None:
    """An output that is an input, a weight, or another output gets a tensor of its own: the exporter gives them one name."""
    import onnx_ir

    names = {value.name for value in (*graph.inputs, *graph.initializers.values())}
    for i, value in enumerate(graph.outputs):
        if value.is_graph_input() or value.is_initializer() or any(value is other for other in graph.outputs[:i]):
            copy = onnx_ir.node("Identity", [value])
            graph.append(copy)
            graph.outputs[i] = copy.outputs[0]
            graph.outputs[i].type, graph.outputs[i].shape = value.type, value.shape
            value = graph.outputs[i]
        if value.name is None or value.name in names:
            value.name = f"output_{i}_of_{len(graph.outputs)}"
        names.add(value.name)


def output_names(network: Any, case: Arrays, order: list[str]) -> list[str]:
    import torch

    with torch.no_grad():
        result = network(*[torch.from_numpy(case[name]) for name in order])
    keys = [key for key, _ in flat(result)]
    if len(keys) == 1 and keys[0] == "":
        return ["output"]
    return [key if key.isidentifier() else f"output_{i}" for i, key in enumerate(keys)]


def flat(result: Any) -> list[tuple[str, Any]]:
    """Tensors of a result, in the order in which the exporter has them; with their keys where they have some."""
    import torch
    from torch.utils import _pytree

    leaves, _ = _pytree.tree_flatten_with_path(result)
    pairs = [(str(getattr(path[-1], "key", "")) if path else "", leaf) for path, leaf in leaves]
    other = next((leaf for _, leaf in pairs if leaf is not None and not isinstance(leaf, torch.Tensor)), None)
    if other is not None:
        raise ToolError(
            "CONVERSION_FAILED", "outputs", f"the network gives a value of the type {type(other).__name__} among its tensors, and a graph gives tensors alone"
        )
    return [(key, leaf) for key, leaf in pairs if leaf is not None]


def array_of(tensor: Any) -> np.ndarray:
    import torch

    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).contiguous().numpy()
