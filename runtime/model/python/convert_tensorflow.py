"""TensorFlow to ONNX, by tf2onnx: SavedModel folders, Keras 3 and Keras 2 files, pruned and quantization-aware ones too."""

from __future__ import annotations

import json
import os
import re
import warnings
import zipfile
from typing import Any

import numpy as np
from slipway_convert import (
    Arrays,
    Input,
    answer_cases,
    describe,
    failed,
    free_names,
    make_cases,
    name_dimensions,
    read_sample,
    refuse_inputs,
    rename_outputs,
)
from slipway_tool import ToolError, one_line, progress

# Operators that run Python of this process or touch files: no network needs them to answer.
UNSAFE_OPERATORS = {
    "PyFunc", "PyFuncStateless", "EagerPyFunc", "ReadFile", "WriteFile", "MatchingFiles", "ImmutableConst",
    "RestoreV2Slice", "LoadDataset", "SaveDataset", "ReaderReadV2", "FixedLengthRecordReaderV2",
}  # fmt: skip
# Whose classes a configuration may name.
KNOWN_MODULES = ("keras", "tf_keras", "builtins", "tensorflow_model_optimization")
# Layers that carry code, not weights.
CODE = {"Lambda", "TFOpLambda", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer"}

QUANTIZED = (
    "trained with quantization in mind: activations have QuantizeLinear and DequantizeLinear with the ranges of the training, and weights are "
    "float numbers on their INT8 grid"
)


def run(request: dict[str, Any]) -> dict[str, Any]:
    source = request["source"]
    warnings.filterwarnings("ignore")
    notes: list[str] = []
    legacy = source["kind"] != "saved-model" and is_legacy(source)
    if legacy:
        # Decides which Keras `tf.keras` is, for TensorFlow Model Optimization, too; must be set before TensorFlow loads.
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
    progress("loading TensorFlow")
    if source["kind"] == "saved-model":
        refuse_unsafe_operators(source["path"])
    import tensorflow as tf

    tf.random.set_seed(0)
    if source["kind"] == "saved-model":
        kind = "TensorFlow SavedModel"
        network, specs, output_names, keep = load_saved_model(tf, source)
    else:
        kind = "Keras 2" if legacy else "Keras 3"
        network, specs, output_names, keep = load_keras(tf, source, legacy, notes)
    given = {one["name"]: one for one in request["inputs"] or []}
    inputs = [describe_input(name, spec, given.get(name)) for name, spec in specs]
    inputs = apply_given(inputs, request["inputs"])
    specs = [(one["name"], tf.TensorSpec(spec_shape(one), one["datatype"], name=one["name"])) for one in inputs]
    sample = read_sample(request["samples"])
    cases = make_cases(inputs, sample)
    order = [one["name"] for one in inputs]
    flat_function = tf.function(lambda *tensors: network(list(tensors)), input_signature=[spec for _, spec in specs])

    def answer(case: Arrays) -> list[tuple[str, np.ndarray]]:
        outputs = flat_function(*[tf.constant(case[name]) for name in order])
        return [(f"output_{i}", np.asarray(tensor.numpy())) for i, tensor in enumerate(outputs)]

    try:
        answered = answer_cases(cases, request["folder"], answer)
    except ToolError:
        raise
    except Exception as error:
        raise refuse_inputs(f"the network does not take {describe(inputs)}: {one_line(error)}") from error

    progress("converting with tf2onnx")
    import onnx

    try:
        model = convert(tf, flat_function, keep, len(order), request["opset"])
    except Exception as error:
        raise failed(source["path"], error) from error
    unknown = sorted({node.op_type for node in model.graph.node if node.domain == "" and not onnx.defs.has(node.op_type)})
    if unknown:
        raise ToolError(
            "CONVERSION_FAILED",
            source["path"],
            f"the converter knows no operators of ONNX for {', '.join(unknown)}: leave that part out of the network, and do it before or after",
        )
    del keep
    rename_inputs(model, order)
    rename_outputs(model, free_names(model, output_names))
    rename_outputs(model, request["outputs"])
    name_dimensions(model, inputs, answered)
    onnx.save(model, request["output"])
    return {"kind": kind, "inputs": inputs, "cases": answered, "notes": notes, "rounds": QUANTIZED in notes}


def convert(tf: Any, function: Any, network: Any, inputs: int, opset: int) -> Any:
    """What tf2onnx does with a function, but without taking what the function closes over for inputs, and with its tables."""
    import tf2onnx

    concrete = function.get_concrete_function()
    taken, given = [[tensor.name for tensor in tensors] for tensors in (concrete.inputs[:inputs], concrete.outputs)]
    with tf.device("/cpu:0"):
        frozen, tables = tf2onnx.tf_loader.from_trackable(network, concrete, taken, given, False)
        model, _ = tf2onnx.convert._convert_common(
            frozen,
            name=concrete.name,
            opset=opset,
            input_names=taken,
            output_names=given,
            initialized_tables=tables,
            custom_op_handlers={"Erfc": (without_complement, [])},
        )
    return model


def without_complement(graph: Any, node: Any, name: str, _arguments: Any) -> None:
    """Keras' gelu asks for 1 - erf(x), which ONNX has in two operators."""
    import tf2onnx

    kind = tf2onnx.utils.map_onnx_to_numpy_type(graph.get_dtype(node.input[0]))
    one = graph.make_const(tf2onnx.utils.make_name(name), np.ones((), kind))
    erf = graph.make_node("Erf", [node.input[0]], op_name_scope=name)
    node.type = "Sub"
    graph.replace_inputs(node, [one.output[0], erf.output[0]])


def is_legacy(source: dict[str, Any]) -> bool:
    """Whether Keras 2 wrote the file; refuses what could run code or read other files before anything is loaded."""
    path = source["path"]
    try:
        if source["kind"] == "keras":
            with zipfile.ZipFile(path) as archive:
                version = json.loads(archive.read("metadata.json"))["keras_version"]
                config = json.loads(archive.read("config.json"))
                if "model.weights.h5" in archive.namelist():
                    with archive.open("model.weights.h5") as weights:
                        check_hdf5(weights, path)
        else:
            version, config = check_hdf5(path, path)
    except ToolError:
        raise
    except Exception as error:
        raise ToolError("SOURCE_UNREADABLE", path, f"is no whole Keras file: {one_line(error)}") from error
    if config is None:
        raise ToolError("SOURCE_UNKNOWN", path, "holds weights and no network: save the whole model, model.save('net.keras')")
    check_config(config, path)
    return str(version).startswith("2.")


def check_hdf5(file: Any, path: str) -> tuple[Any, Any]:
    """HDF5 can name other files and unpack without end: neither is needed for weights."""
    import h5py

    limit = 64 * 2**30
    size = 0
    with h5py.File(file, "r") as root:
        groups = [root]
        while groups:
            group = groups.pop()
            for name in group:
                link = group.get(name, getlink=True)
                if isinstance(link, h5py.ExternalLink):
                    raise ToolError("SOURCE_UNSAFE", path, f"refers to another file, '{link.filename}'")
                if isinstance(link, h5py.SoftLink):
                    raise ToolError("SOURCE_UNSAFE", path, "has links between its parts, which Keras never writes")
                item = group[name]
                if isinstance(item, h5py.Group):
                    groups.append(item)
                    continue
                if item.external is not None or item.is_virtual:
                    raise ToolError("SOURCE_UNSAFE", path, f"keeps '{name}' in another file")
                size += item.size * item.dtype.itemsize
                stored = item.id.get_storage_size()
                if size > limit or item.size * item.dtype.itemsize > 1_000 * stored + 2**20:
                    raise ToolError("SOURCE_TOO_LARGE", path, f"'{name}' would unpack to {item.size * item.dtype.itemsize} bytes from {stored}")
        config = root.attrs.get("model_config")
        version = root.attrs.get("keras_version", "2")
        return version, None if config is None else json.loads(config)


def check_config(config: Any, path: str) -> None:
    """Refuses layers that carry code, and classes from anywhere but Keras, wherever in the configuration they are."""
    pending = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        if not isinstance(value, dict):
            continue
        pending.extend(value.values())
        name = value.get("class_name")
        if isinstance(name, str) and name.split(">")[-1] in CODE | {"__lambda__"}:
            raise ToolError(
                "SOURCE_UNSAFE",
                path,
                f"has a layer of the class {name}, which is code in a file of weights and could do anything: write it as layers or operations of Keras",
            )
        module = value.get("module")
        if "class_name" in value and isinstance(module, str) and module.split(".")[0] not in KNOWN_MODULES:
            raise ToolError("SOURCE_UNSAFE", path, f"wants the class '{name}' of the module '{module[:80]}', which is not Keras's")


def refuse_unsafe_operators(path: str) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    try:
        with open(os.path.join(path, "saved_model.pb"), "rb") as file:
            saved.ParseFromString(file.read())
    except Exception as error:
        raise ToolError("SOURCE_UNREADABLE", path, f"its saved_model.pb is damaged: {one_line(error)}") from error
    for meta in saved.meta_graphs:
        graph = meta.graph_def
        for nodes in [graph.node, *(function.node_def for function in graph.library.function)]:
            for node in nodes:
                if node.op in UNSAFE_OPERATORS:
                    raise ToolError("SOURCE_UNSAFE", path, f"has the operator {node.op}, which runs code or touches files of this machine")


def load_saved_model(tf: Any, source: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    path = source["path"]
    try:
        loaded = tf.saved_model.load(path)
    except Exception as error:
        raise ToolError("SOURCE_UNREADABLE", path, f"TensorFlow cannot load it: {one_line(error)}") from error
    names = list(loaded.signatures)
    wanted = source["signature"] or ("serving_default" if "serving_default" in names else None)
    if wanted is None or wanted not in names:
        shown = ", ".join(names) or "none"
        raise ToolError("SOURCE_UNREADABLE", path, f"has no signature '{wanted or 'serving_default'}' but {shown}: choose one with --signature")
    signature = loaded.signatures[wanted]
    # The file has them in no order.
    specs = sorted(signature.structured_input_signature[1].items())
    outputs = sorted(signature.structured_outputs)

    def call(tensors: list[Any]) -> list[Any]:
        result = signature(**{name: tensor for (name, _), tensor in zip(specs, tensors)})
        return [result[name] for name in outputs]

    return call, specs, outputs, loaded


def load_keras(tf: Any, source: dict[str, Any], legacy: bool, notes: list[str]) -> tuple[Any, Any, Any, Any]:
    path = source["path"]
    try:
        if legacy:
            import tensorflow_model_optimization as tfmot
            import tf_keras as keras

            with tfmot.quantization.keras.quantize_scope(), tfmot.sparsity.keras.prune_scope():
                model = keras.models.load_model(path, compile=False, **({"safe_mode": True} if source["kind"] == "keras" else {}))
                if any(layer.__class__.__name__ == "PruneLowMagnitude" for layer in model.layers):
                    model = tfmot.sparsity.keras.strip_pruning(model)
                    notes.append("the wrappers of pruning are stripped: zeros stay, and only they tell that it was pruned")
            if any(layer.__class__.__name__.startswith("Quantize") for layer in model.layers):
                notes.append(QUANTIZED)
        else:
            import keras

            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        hint = "; wrappers of TensorFlow Model Optimization come back from .h5 and SavedModel alone" if legacy and source["kind"] == "keras" else ""
        if any(said in str(error) for said in ("Could not locate class", "Unknown layer")):
            hint = "; the code of layers of your own is not in the file, so convert a SavedModel, which needs none: model.export('folder')"
            error = Exception(re.sub(r"(?s)^.*?(Could not locate class '[^']*'|Unknown layer: '[^']*').*$", r"\1", str(error)))
        raise ToolError("SOURCE_UNREADABLE", path, f"Keras cannot load it: {one_line(error)}{hint}") from error
    if not model.built or not getattr(model, "inputs", None):
        raise ToolError("SOURCE_UNREADABLE", path, "was saved before it had seen an input: call it once, or give its first layer a shape, and save again")
    specs = [
        (clean(tensor.name, f"input_{i}"), tf.TensorSpec(tensor.shape, getattr(tensor.dtype, "name", tensor.dtype)))
        for i, tensor in enumerate(model.inputs)
    ]
    # A Sequential of Keras 3 has no names of outputs; its last layer has one.
    names = getattr(model, "output_names", None) or [model.layers[-1].name]
    names = [clean(name, f"output_{i}") for i, name in enumerate(names)]

    # Keras 3 keeps how its inputs hang together: one, a list, a dictionary.
    structure = getattr(model, "_inputs_struct", None)

    def call(tensors: list[Any]) -> list[Any]:
        if structure is not None:
            given = tf.nest.pack_sequence_as(structure, tensors)
        else:
            given = tensors[0] if len(tensors) == 1 else tensors
        return tf.nest.flatten(model(given, training=False))

    return call, specs, names, model


def clean(name: str, otherwise: str) -> str:
    # `keras_tensor_17` counts what else this process made.
    name = name.split(":")[0]
    return otherwise if name.startswith("keras_tensor") else name


def describe_input(name: str, spec: Any, given: Input | None) -> Input:
    if spec.shape.rank is None:
        if given is not None and given["datatype"] == spec.dtype.name:
            return given
        raise refuse_inputs(f"'{name}' does not say how many dimensions it has: give it with --input {name}={spec.dtype.name}[batch,3]")
    shape = [
        size if size is not None else ("batch" if k == 0 else f"{name}_{k}") for k, size in enumerate(spec.shape.as_list())
    ]
    return {"name": name, "datatype": "string" if spec.dtype.name == "string" else spec.dtype.name, "shape": shape, "sizes": {}}


def apply_given(inputs: list[Input], given: list[Input] | None) -> list[Input]:
    """What the author says beside the source: in its order, or by its names."""
    if given is None:
        return inputs
    by_name = {one["name"]: one for one in given}
    ordered = [by_name[one["name"]] for one in inputs] if set(by_name) == {one["name"] for one in inputs} else given
    if len(ordered) != len(inputs):
        raise refuse_inputs(f"names {len(given)} inputs, and the network has {len(inputs)}: {', '.join(one['name'] for one in inputs)}")
    for one, wanted in zip(inputs, ordered):
        fits = len(one["shape"]) == len(wanted["shape"]) and all(
            isinstance(theirs, str) or theirs == ours for theirs, ours in zip(one["shape"], wanted["shape"])
        )
        if not fits or one["datatype"] != wanted["datatype"]:
            raise refuse_inputs(
                f"the network takes {describe([one])}, got {describe([wanted])}"
            )
    return ordered


def spec_shape(one: Input) -> list[int | None]:
    return [None if isinstance(size, str) else size for size in one["shape"]]


def rename_inputs(model: Any, names: list[str]) -> None:
    old = [value.name for value in model.graph.input]
    new = dict(zip(old, names))
    for value in model.graph.input:
        value.name = new[value.name]
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            if name in new:
                node.input[i] = new[name]
