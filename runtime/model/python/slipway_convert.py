"""What the converters of every framework share: samples, the answers of the source, names of dimensions."""

from __future__ import annotations

import os
import re
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from slipway_tool import ToolError, one_line, progress

# The names of the datatypes that `--input` knows, which are NumPy's; `string` is its text.
DATATYPES = (
    "float16", "float32", "float64", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64", "bool", "string",
)  # fmt: skip
# What a dimension with a name is tried with where nobody says a size.
USUAL_SIZE = 16
# Rows of a batch that is neither 1 nor what the network was traced with; and what it is traced with.
BATCHES = (2, 1, 3)

Input = dict[str, Any]
Arrays = dict[str, np.ndarray]


def refuse_inputs(message: str) -> ToolError:
    return ToolError("INPUTS_UNKNOWN", "--input", message)


def read_sample(path: str | None) -> Arrays | None:
    """The arrays of an NPZ file, whose sizes and names the caller has checked."""
    if path is None:
        return None
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def inputs_of_sample(sample: Arrays) -> list[Input]:
    """What a sample says about the inputs: all but the first dimension, which counts rows."""
    return [
        {"name": name, "datatype": datatype_of(array), "shape": ["batch", *array.shape[1:]], "sizes": {}}
        for name, array in sample.items()
    ]


def datatype_of(array: np.ndarray) -> str:
    name = "string" if array.dtype.kind in "US" else array.dtype.name
    if name not in DATATYPES:
        raise ToolError("INPUTS_UNKNOWN", "--samples", f"holds an array of {name}; known are {', '.join(DATATYPES)}")
    return name


def describe(inputs: Sequence[Input]) -> str:
    """Inputs as `--input` takes them."""
    return ", ".join(f"{one['name']}={one['datatype']}[{','.join(map(str, one['shape']))}]" for one in inputs)


def make_cases(inputs: Sequence[Input], sample: Arrays | None) -> list[Arrays]:
    """Inputs of several batch sizes; the first is what a network is traced with."""
    names = {size for one in inputs for size in one["shape"] if isinstance(size, str)}
    # A dimension that several inputs have is of one size in all of them.
    sizes = {name: size for one in inputs for name, size in one.get("sizes", {}).items()}
    cases = [_case(inputs, sizes, sample, case) for case in range(len(BATCHES) if names else 1)]
    rows = min((len(array) for array in (sample or {}).values() if array.ndim > 0), default=0)
    if sample is not None and names and rows > max(BATCHES):
        cases.append({one["name"]: sample[one["name"]][: min(rows, 64)].astype(_numpy(one)) for one in inputs})
    return cases


def _case(inputs: Sequence[Input], sizes: dict[str, int], sample: Arrays | None, case: int) -> Arrays:
    made: Arrays = {}
    for i, one in enumerate(inputs):
        name = one["name"]
        shape = [size if isinstance(size, int) else _size(size, sizes, case) for size in one["shape"]]
        if sample is None:
            made[name] = _random(one, shape, 1_000 * case + i)
            continue
        if name not in sample:
            raise ToolError("INPUTS_UNKNOWN", "--samples", f"has no array for the input '{name}', but {_list(sample)}")
        array = sample[name]
        if len(shape) > 0 and array.ndim == len(shape) and array.shape[0] >= shape[0]:
            array = array[: shape[0]]
        elif len(shape) > 0 and array.ndim == len(shape) and array.shape[0] > 0:
            array = np.resize(array, (shape[0], *array.shape[1:]))
        if array.ndim != len(shape) or any(
            isinstance(wanted, int) and wanted != size for wanted, size in zip(one["shape"][1:], array.shape[1:])
        ):
            raise ToolError(
                "INPUTS_UNKNOWN", "--samples", f"'{name}' must have the shape {one['shape']}, got {list(array.shape)}"
            )
        made[name] = np.ascontiguousarray(array.astype(_numpy(one)))
    return made


def _size(name: str, sizes: dict[str, int], case: int) -> int:
    if name == "batch":
        return BATCHES[case]
    size = int(sizes.get(name, USUAL_SIZE))
    return size * 2 if case == 2 else size


def _numpy(one: Input) -> Any:
    return np.str_ if one["datatype"] == "string" else np.dtype(one["datatype"])


def _random(one: Input, shape: list[int], seed: int) -> np.ndarray:
    # The same numbers on every machine: a report can be made again.
    random = np.random.Generator(np.random.PCG64(seed))
    kind = one["datatype"]
    if kind == "string":
        raise ToolError("INPUTS_UNKNOWN", "--samples", f"the input '{one['name']}' is text: give rows of it with --samples")
    if kind.startswith("float"):
        return random.standard_normal(shape, dtype=np.float32).astype(kind)
    # Whole numbers are mostly places in a table, of which nobody says the length here.
    return random.integers(0, 2, shape).astype(kind)


def answer_cases(
    cases: Sequence[Arrays], folder: str, run: Callable[[Arrays], list[tuple[str, np.ndarray]]]
) -> list[dict[str, Any]]:
    """Runs the source on each case and leaves inputs and outputs as files, which the caller compares with ONNX Runtime."""
    answered = []
    for i, case in enumerate(cases):
        progress(f"running the source on sample {i + 1} of {len(cases)}")
        outputs = run(case)
        if i == 0:
            refuse_chance(outputs, run(case))
        answered.append(
            {
                "inputs": [_save(folder, f"{i}-in-{k}", name, array) for k, (name, array) in enumerate(case.items())],
                "outputs": [_save(folder, f"{i}-out-{k}", name, array) for k, (name, array) in enumerate(outputs)],
            }
        )
    return answered


def _save(folder: str, file: str, name: str, array: np.ndarray) -> dict[str, str]:
    array = np.asarray(array)
    if array.dtype.kind == "O":
        array = array.astype(np.str_)
    path = os.path.join(folder, f"{file}.npy")
    np.save(path, array, allow_pickle=False)
    return {"name": name, "file": path, "shape": list(array.shape)}


def refuse_chance(first: list[tuple[str, np.ndarray]], second: list[tuple[str, np.ndarray]]) -> None:
    """A source that draws numbers cannot be compared with anything; threads may add in another order, and differ in the last digits."""
    for (_, one), (_, other) in zip(first, second):
        if one.shape == other.shape and one.dtype.kind == "f":
            scale = np.max(np.abs(one), initial=0.0, where=np.isfinite(one))
            if np.allclose(one, other, rtol=0, atol=float(scale) * 1e-2, equal_nan=True):
                continue
        elif one.shape == other.shape and np.array_equal(one, other):
            continue
        raise ToolError(
            "CONVERSION_FAILED",
            "source",
            "answers the same rows otherwise when it is asked again, so it draws random numbers (such as a dropout that is on outside of training), and there is nothing to compare with",
        )


def name_dimensions(model: Any, inputs: Sequence[Input], answered: Sequence[dict[str, Any]]) -> None:
    """Gives dimension 0 its name where a converter wrote none, or one of its own making. What the source answered tells whether it counts rows."""
    named = {one["name"]: one["shape"] for one in inputs}
    for value in model.graph.input:
        shape = named.get(value.name)
        dimensions = value.type.tensor_type.shape.dim
        if shape is None or len(shape) != len(dimensions):
            continue
        for dimension, size in zip(dimensions, shape):
            if isinstance(size, str):
                dimension.dim_param = size
    batched = {name for name, shape in named.items() if shape[:1] == ["batch"]}
    for i, value in enumerate(model.graph.output):
        dimensions = value.type.tensor_type.shape.dim
        if len(dimensions) > 0 and not dimensions[0].HasField("dim_value"):
            if all(_counts_rows(case, i, batched) for case in answered):
                dimensions[0].dim_param = "batch"
            elif dimensions[0].dim_param == "batch":
                dimensions[0].ClearField("dim_param")


def _counts_rows(case: dict[str, Any], output: int, batched: set[str]) -> bool:
    rows = {one["shape"][0] for one in case["inputs"] if one["name"] in batched}
    # What differs in its number of outputs is refused by the caller.
    shapes = [one["shape"] for one in case["outputs"]]
    return output < len(shapes) and shapes[output][:1] == list(rows)


def rename_outputs(model: Any, names: Sequence[str] | None, where: str = "--output-name") -> None:
    """Calls outputs as the author says, in their order. An Identity would cost time: the tensors get the names."""
    if names is None:
        return
    old = [value.name for value in model.graph.output]
    if len(old) != len(names):
        raise ToolError("INPUTS_UNKNOWN", where, f"names {len(names)} outputs, and the network has {len(old)}: {', '.join(old)}")
    new = dict(zip(old, names))
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)} - set(old)
    clash = next((name for name in names if name in taken), None)
    if clash is not None:
        raise ToolError("INPUTS_UNKNOWN", where, f"'{clash}' is the name of another tensor of the graph")
    for value in model.graph.output:
        value.name = new[value.name]
    for node in model.graph.node:
        for field in (node.input, node.output):
            for i, name in enumerate(field):
                if name in new:
                    field[i] = new[name]


def free_names(model: Any, names: Sequence[str]) -> list[str]:
    """The source's names of its outputs; one that another tensor of the graph has gets an underscore."""
    outputs = {value.name for value in model.graph.output}
    taken = {value.name for value in model.graph.input}
    taken |= {name for node in model.graph.node for name in (*node.input, *node.output)} - outputs
    result: list[str] = []
    for name in names:
        while name in taken:
            name += "_"
        taken.add(name)
        result.append(name)
    return result


def failed(where: str, error: BaseException) -> ToolError:
    """What a framework's converter could not do: the first paragraph of what it met at the bottom of its own explanations, and where."""
    chain = [error]
    while chain[-1].__cause__ is not None and chain[-1].__cause__ not in chain:
        chain.append(chain[-1].__cause__)
    reason = chain[-1]
    paragraph = re.split(r"\n\s*\n", str(reason).strip())[0]
    said = one_line(Exception(paragraph or type(reason).__name__) if paragraph != "in user code:" else reason)
    if type(reason).__name__.startswith("GuardOnDataDependent"):
        said = f"the code branches or loops by the numbers in a tensor, which a graph can say with torch.where or torch.cond alone ({said})"
    line = _line_of_user(chain)
    return ToolError("CONVERSION_FAILED", where, f"the converter says{'' if line is None else f' at {line}'}: {said}")


def _line_of_user(chain: Sequence[BaseException]) -> str | None:
    """The innermost line that is neither of a package nor of Python's own."""
    paths = sysconfig.get_paths()
    own = [os.path.dirname(os.path.abspath(__file__)), *(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))]
    for error in reversed(chain):
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if os.path.isabs(frame.filename) and not any(frame.filename.startswith(folder + os.sep) for folder in own):
                return f"{os.path.basename(frame.filename)}:{frame.lineno}"
    return None


def _list(sample: Arrays) -> str:
    return ", ".join(f"'{name}'" for name in sample) or "none"
