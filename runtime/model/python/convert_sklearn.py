"""scikit-learn to ONNX, by skl2onnx. Models are read by skops, which runs nothing of what it reads."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from slipway_convert import (
    Arrays,
    Input,
    answer_cases,
    failed,
    inputs_of_sample,
    make_cases,
    name_dimensions,
    read_sample,
    refuse_inputs,
    rename_outputs,
)
from slipway_tool import ToolError, one_line, progress


def run(request: dict[str, Any]) -> dict[str, Any]:
    warnings.filterwarnings("ignore")
    source = request["source"]
    progress("loading scikit-learn")
    model = load(source)
    sample = read_sample(request["sample"])
    inputs = request["inputs"] or default_inputs(model, sample)
    cases = make_cases(inputs, sample)

    progress("converting with skl2onnx")
    converted = convert(model, inputs, request["opset"], source["path"])
    names = [value.name for value in converted.graph.output]
    try:
        answered = answer_cases(cases, request["folder"], lambda case: answer(model, inputs, case, names))
    except ToolError:
        raise
    except Exception as error:
        shown = ", ".join(f"{one['name']}={one['datatype']}{one['shape']}" for one in inputs)
        raise refuse_inputs(f"the model does not take {shown}: {one_line(error)}") from error
    rename_outputs(converted, request["outputs"])
    name_dimensions(converted, inputs)
    with open(request["output"], "wb") as file:
        file.write(converted.SerializeToString())
    return {"kind": "scikit-learn", "inputs": inputs, "cases": answered, "notes": []}


def load(source: dict[str, Any]) -> Any:
    path = source["path"]
    try:
        if source["kind"] == "skops":
            import skops.io

            trusted = source["trustedTypes"]
            strangers = [name for name in skops.io.get_untrusted_types(file=path) if name not in trusted]
            if len(strangers) > 0:
                raise ToolError(
                    "SOURCE_UNSAFE",
                    path,
                    f"holds types that skops does not vouch for: {', '.join(strangers)[:300]}; if you made it, say --trust-type with each",
                )
            return skops.io.load(path, trusted=trusted)
        import joblib

        return joblib.load(path)
    except ToolError:
        raise
    except Exception as error:
        raise ToolError("SOURCE_UNREADABLE", path, f"scikit-learn cannot load it: {type(error).__name__}: {one_line(error)}") from error


def default_inputs(model: Any, sample: Arrays | None) -> list[Input]:
    if sample is not None:
        return inputs_of_sample(sample)
    if hasattr(model, "feature_names_in_"):
        columns = ", ".join(map(str, list(model.feature_names_in_)[:6]))
        raise refuse_inputs(
            f"the model was fitted on named columns ({columns}): give each with --input name=float32[batch,1] or string[batch,1], or all in --sample"
        )
    features = getattr(model, "n_features_in_", None)
    if features is None:
        raise refuse_inputs("the model does not say how many features it takes: give --input x=float32[batch,10]")
    return [{"name": "input", "datatype": "float32", "shape": ["batch", int(features)], "sizes": {}}]


def convert(model: Any, inputs: list[Input], opset: int, path: str) -> Any:
    from skl2onnx import to_onnx
    from skl2onnx.common import data_types

    tensors = {
        "float32": data_types.FloatTensorType,
        "float64": data_types.DoubleTensorType,
        "int64": data_types.Int64TensorType,
        "int32": data_types.Int32TensorType,
        "bool": data_types.BooleanTensorType,
        "string": data_types.StringTensorType,
    }
    types = []
    for one in inputs:
        if one["datatype"] not in tensors:
            raise refuse_inputs(f"scikit-learn's converter takes {', '.join(tensors)}, got {one['datatype']} for '{one['name']}'")
        shape = [None if isinstance(size, str) else size for size in one["shape"]]
        types.append((one["name"], tensors[one["datatype"]](shape)))
    # A ZipMap makes dictionaries of a classifier's probabilities, which no server can batch.
    options = {id(model): {"zipmap": False}} if is_classifier(model) else None
    try:
        return to_onnx(model, initial_types=types, target_opset=opset, options=options)
    except Exception as error:
        raise failed(path, error) from error


def is_classifier(model: Any) -> bool:
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    return getattr(last, "_estimator_type", None) == "classifier" or hasattr(last, "classes_")


def answer(model: Any, inputs: list[Input], case: Arrays, names: list[str]) -> list[tuple[str, np.ndarray]]:
    if len(inputs) == 1:
        rows: Any = case[inputs[0]["name"]]
    else:
        import pandas

        rows = pandas.DataFrame({name: array.reshape(len(array), -1)[:, 0] for name, array in case.items()})
    if is_classifier(model):
        labels = np.asarray(model.predict(rows))
        # Classes that are true and false are whole numbers in the graph.
        outputs = [labels.astype(np.int64) if labels.dtype == np.bool_ else labels]
        if len(names) > 1:
            scores = model.predict_proba if hasattr(model, "predict_proba") else model.decision_function
            outputs.append(np.asarray(scores(rows)))
    elif hasattr(model, "predict"):
        outputs = [np.asarray(model.predict(rows))]
        if len(names) == 2 and hasattr(model, "transform"):
            outputs.append(np.asarray(model.transform(rows)))
    else:
        outputs = [np.asarray(model.transform(rows))]
    return list(zip(names, outputs))
