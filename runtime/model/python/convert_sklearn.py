"""scikit-learn to ONNX, by skl2onnx. Models are read by skops, which runs nothing of what it reads."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from slipway_convert import (
    Arrays,
    Input,
    answer_cases,
    describe,
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
    # What was searched for is the model; how is not.
    model = getattr(model, "best_estimator_", model)
    sample = read_sample(request["samples"])
    inputs = request["inputs"] or default_inputs(model, sample)
    cases = make_cases(inputs, sample)

    progress("converting with skl2onnx")
    converted = convert(model, inputs, request["opset"], source["path"])
    try:
        answered = answer_cases(cases, request["folder"], lambda case: answer(model, inputs, case, converted.graph.output))
    except ToolError:
        raise
    except Exception as error:
        raise refuse_inputs(f"the model does not take {describe(inputs)}: {one_line(error)}") from error
    rename_outputs(converted, request["outputs"])
    name_dimensions(converted, inputs, answered)
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
                    f"holds types that skops does not vouch for: {', '.join(strangers)[:1000]}; if you made it, say --trust-type with each",
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
            f"the model was fitted on named columns ({columns}): give each with --input name=float32[batch,1] or string[batch,1], or all in --samples; "
            f"where all are numbers and none is chosen by its name, one table will do: --input input=float32[batch,{len(model.feature_names_in_)}]"
        )
    features = getattr(model, "n_features_in_", None)
    if features is None:
        raise refuse_inputs("the model does not say how many features it takes: give --input x=float32[batch,10], or for text --samples with an array of it")
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
    prepare(model)
    # Trees have operators of their own, of which the converters write the third version.
    versions = {"": opset, "ai.onnx.ml": 3}
    try:
        with whole_numbers():
            for options in options_of(model):
                try:
                    converted = to_onnx(model, initial_types=types, target_opset=versions, options=options)
                    break
                except NameError as error:
                    # Which options a class has, only the converter knows.
                    if "Option " not in str(error):
                        raise
    except Exception as error:
        raise failed(path, error) from error
    for value in converted.graph.output:
        if not value.type.HasField("tensor_type"):
            raise ToolError(
                "CONVERSION_FAILED",
                path,
                f"its output '{value.name}' is a list of tensors, one for each target, which no server answers with: convert the model of each target by itself",
            )
    return converted


def options_of(model: Any) -> list[dict[Any, Any]]:
    """What is asked of the converter, the best first."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    # The usual locale, en_US.UTF-8, is in few images of containers; this one belongs to the C library.
    text = {kind: {"locale": "C.UTF-8"} for kind in (CountVectorizer, TfidfVectorizer)}
    if not is_classifier(model):
        return [text]
    # A ZipMap makes dictionaries of a classifier's probabilities, which no server can batch.
    own = {"zipmap": False}
    # Scores that are no probabilities have the sign of the source only where they are asked for.
    scores = [] if hasattr(model, "predict_proba") else [{**own, "raw_scores": True}]
    return [{**text, id(last_step(model)): each} for each in (*scores, own, {})]


def prepare(model: Any) -> None:
    """What decides only about a method that is not converted keeps the converter from its work."""
    from sklearn.ensemble import VotingClassifier

    parts = [model, *(model.get_params().values() if hasattr(model, "get_params") else [])]
    for part in parts:
        if isinstance(part, VotingClassifier):
            part.flatten_transform = False


@contextlib.contextmanager
def whole_numbers() -> Iterator[None]:
    """Converters of trees give truth values where whole numbers belong, which newer versions of protobuf refuse."""
    import onnx.helper

    make = onnx.helper.make_attribute

    def make_whole(key: str, value: Any, *rest: Any, **named: Any) -> Any:
        if isinstance(value, (list, tuple)) and any(isinstance(item, (bool, np.bool_)) for item in value):
            value = [int(item) for item in value]
        return make(key, value, *rest, **named)

    onnx.helper.make_attribute = make_whole
    try:
        yield
    finally:
        onnx.helper.make_attribute = make


def last_step(model: Any) -> Any:
    return last_step(model.steps[-1][1]) if hasattr(model, "steps") else model


def is_classifier(model: Any) -> bool:
    last = last_step(model)
    return getattr(last, "_estimator_type", None) == "classifier" or hasattr(last, "classes_")


def answer(model: Any, inputs: list[Input], case: Arrays, values: Any) -> list[tuple[str, np.ndarray]]:
    rows = rows_of(model, inputs, case)
    names = [value.name for value in values]
    if not hasattr(model, "predict"):
        return list(zip(names, [ask(model.transform, rows)]))
    labels = ask(model.predict, rows)
    # Classes that are true and false are whole numbers in the graph.
    outputs = [labels.astype(np.int64) if labels.dtype == np.bool_ and is_classifier(model) else labels]
    # Beside the class: its probability or score; a row's probability or score; its distance from each cluster.
    second = next((name for name in ("predict_proba", "decision_function", "transform") if hasattr(model, name)), None)
    if len(names) == 2 and second is not None:
        scores = ask(getattr(model, second), rows)
        # Of two classes scikit-learn scores the second alone, and most of the converters score each.
        if scores.ndim == 1 and [size.dim_value for size in values[1].type.tensor_type.shape.dim][1:] == [2]:
            scores = np.stack([-scores, scores], axis=1)
        outputs.append(scores)
    return list(zip(names, outputs))


def rows_of(model: Any, inputs: list[Input], case: Arrays) -> Any:
    """Rows as the model takes them: a table of named columns where it was fitted on one, a list of texts, or an array."""
    arrays = [case[one["name"]] for one in inputs]
    columns = set(map(str, getattr(model, "feature_names_in_", ())))
    if len(inputs) > 1 or inputs[0]["name"] in columns:
        if any(array.reshape(len(array), -1).shape[1] != 1 for array in arrays):
            return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)
        import pandas

        return pandas.DataFrame({name: array.reshape(len(array), -1)[:, 0] for name, array in case.items()})
    # What takes text knows no number of columns.
    is_text = inputs[0]["datatype"] == "string" and not hasattr(model, "n_features_in_")
    return arrays[0].reshape(-1) if is_text else arrays[0]


def ask(method: Any, rows: Any) -> np.ndarray:
    try:
        answers = method(rows)
    except ValueError as error:
        # Clusters are looked for in the numbers that they were found with.
        if "dtype mismatch" not in str(error) or not isinstance(rows, np.ndarray):
            raise
        answers = method(rows.astype(np.float64 if rows.dtype == np.float32 else np.float32))
    if isinstance(answers, list):
        # One for each target, in the width of the one with the most classes.
        classes = max(one.shape[1] for one in answers)
        return np.stack([np.pad(one, ((0, 0), (0, classes - one.shape[1]))) for one in answers])
    return answers.toarray() if hasattr(answers, "toarray") else np.asarray(answers)
