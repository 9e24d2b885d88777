"""Knowledge distillation in PyTorch: a student learns from a teacher's answers and from labels.

The loss of one row is alpha x T^2 x KL(teacher at T || student at T) + (1 - alpha) x cross entropy with the label, T being the
temperature (Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network, 2015).
"""

from __future__ import annotations

import copy
import math
import os
import time
import warnings
from typing import Any

import numpy as np
from convert_torch import build, export, flat
from slipway_convert import failed
from slipway_tool import ToolError, one_line, progress

Rows = dict[str, np.ndarray]
CHECKPOINT_SECONDS = 60
# Rows of a run that learns nothing.
ANSWER_ROWS = 256
SMALLEST_PROBABILITY = 1e-12


def run(request: dict[str, Any]) -> dict[str, Any]:
    warnings.filterwarnings("ignore")
    progress("loading PyTorch")
    import torch

    settings = request["settings"]
    device = choose_device(settings["device"])
    torch.manual_seed(settings["seed"])
    # The same steps in the same order give the same student, on one processor.
    torch.use_deterministic_algorithms(device == "cpu")
    train, validation = (open_rows(request[name]) for name in ("train", "validation"))
    student = build(request["student"]["path"], request["student"]["factory"], request["student"]["weights"]).to(device)

    progress("asking the teacher")
    answer = open_teacher(request["teacher"], device)
    taught = answer_all(answer, train)
    expected = answer_all(answer, validation)
    classes = taught.shape[1]
    check_labels(train["labels"], classes, "data")
    check_labels(validation["labels"], classes, "validation")
    progress(f"the teacher is right on {accuracy(expected, validation['labels']):.2f} % of the validation rows")

    state = load_checkpoint(request["checkpoint"], request["fingerprint"])
    before = answer_all(student_answer(student, device), validation) if state is None else None
    if before is not None and before.shape[1] != classes:
        raise ToolError("DATA_MISFIT", "student", f"must give {classes} classes as the teacher does, got {before.shape[1]}")
    if state is None:
        try_export(student, train, request)
    history = learn(student, device, train, taught, validation, settings, request, state, before)
    answers = answer_all(student_answer(student, device), validation)

    student = student.to("cpu").eval()
    weights = request["weights"]
    torch.save(student.state_dict(), weights)
    return {
        "device": device,
        "classes": classes,
        "trainRows": len(train["labels"]),
        "validationRows": len(validation["labels"]),
        "teacherAccuracy": accuracy(expected, validation["labels"]),
        "studentAccuracy": accuracy(answers, validation["labels"]),
        "studentAccuracyBefore": history["before"],
        "agreement": float((answers.argmax(1) == expected.argmax(1)).mean() * 100),
        "studentParameters": sum(tensor.numel() for tensor in student.parameters()),
        "epochs": history["epochs"],
        "resumedAt": history["resumedAt"],
    }


def try_export(student: Any, train: Rows, request: dict[str, Any]) -> None:
    """What cannot become ONNX is told before it learns for a day, not after."""
    import torch

    if not any(weights.requires_grad for weights in student.parameters()):
        raise ToolError("SOURCE_UNREADABLE", request["student"]["path"], "makes a student without weights that could learn")
    progress("trying to export the student")
    random = torch.get_rng_state()
    network = copy.deepcopy(student).to("cpu").eval()
    names = names_of(train)
    rows = tuple(torch.from_numpy(np.resize(train[name], (2, *train[name].shape[1:]))) for name in names)
    inputs = [{"name": name, "shape": ["batch", *train[name].shape[1:]]} for name in names]
    flat(network(*rows))
    try:
        # The working directory goes with this process.
        export(torch, network, "module", rows, inputs, ["output"], request["opset"], "tried.onnx")
    except Exception as error:
        raise failed(request["student"]["path"], error) from error
    torch.set_rng_state(random)


def choose_device(wanted: str) -> str:
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ToolError("OPTION_INVALID", "--device", "there is no GPU that PyTorch can use here: cpu, or auto, takes what there is")
    return wanted


def open_rows(files: dict[str, Any]) -> Rows:
    """Arrays that the caller has written, checked, as they lie on the disk: memory holds what is used of them."""
    rows: Rows = {"labels": np.fromfile(files["labels"], dtype=np.int64)}
    for one in files["inputs"]:
        rows[one["name"]] = np.memmap(one["file"], dtype=one["datatype"], mode="r", shape=tuple(one["shape"]))
    return rows


def names_of(rows: Rows) -> list[str]:
    return [name for name in rows if name != "labels"]


def open_teacher(teacher: dict[str, Any], device: str) -> Any:
    """What answers a batch of rows with numbers for each class: before a softmax, or their logarithms after one."""
    if teacher["kind"] == "torch":
        return student_answer(build(teacher["path"], teacher["factory"], teacher["weights"]).to(device), device)
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(teacher["path"], providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ToolError("FILE_UNREADABLE", teacher["path"], f"ONNX Runtime cannot load it: {one_line(error)}") from error

    def answer(batch: Rows) -> np.ndarray:
        try:
            (result,) = session.run([teacher["output"]], batch)
        except Exception as error:
            raise ToolError("DATA_MISFIT", teacher["path"], f"does not take these rows: {one_line(error)}") from error
        return to_logits(np.asarray(result, dtype=np.float32), "teacher")

    return answer


def student_answer(network: Any, device: str) -> Any:
    import torch

    def answer(batch: Rows) -> np.ndarray:
        network.eval()
        with torch.no_grad():
            return to_logits(forward(network, batch, device).float().cpu().numpy(), type(network).__name__)

    return answer


def forward(network: Any, batch: Rows, device: str) -> Any:
    import torch
    from torch.utils import _pytree

    try:
        result = network(*[torch.from_numpy(array).to(device) for array in batch.values()])
    except Exception as error:
        raise ToolError("DATA_MISFIT", type(network).__name__, f"does not take these rows: {one_line(error)}") from error
    tensors = [leaf for leaf in _pytree.tree_leaves(result) if isinstance(leaf, torch.Tensor)]
    # One that gives more than its classes gives them first.
    if len(tensors) == 0 or tensors[0].ndim != 2:
        raise ToolError("DATA_MISFIT", type(network).__name__, "must give one row of classes for each row")
    return tensors[0]


def to_logits(answers: np.ndarray, who: str) -> np.ndarray:
    if answers.ndim != 2 or answers.shape[1] < 2:
        raise ToolError("DATA_MISFIT", who, f"must give one row of classes for each row, got the shape {list(answers.shape)}")
    if not np.isfinite(answers).all():
        raise ToolError("DATA_MISFIT", who, "gives numbers that are infinite or none")
    if is_probability(answers):
        return np.log(np.maximum(answers, SMALLEST_PROBABILITY)).astype(np.float32)
    return answers


def is_probability(answers: np.ndarray) -> bool:
    return bool((answers >= 0).all() and np.allclose(answers.sum(axis=1), 1, atol=1e-3))


def answer_all(answer: Any, rows: Rows) -> np.ndarray:
    names = names_of(rows)
    parts = []
    for start in range(0, len(rows["labels"]), ANSWER_ROWS):
        parts.append(answer({name: np.ascontiguousarray(rows[name][start : start + ANSWER_ROWS]) for name in names}))
    return np.concatenate(parts)


def check_labels(labels: np.ndarray, classes: int, where: str) -> None:
    if labels.min() < 0 or labels.max() >= classes:
        raise ToolError(
            "LABEL_INVALID", where, f"the teacher has classes 0 to {classes - 1}, and labels go from {labels.min()} to {labels.max()}"
        )


def accuracy(answers: np.ndarray, labels: np.ndarray) -> float:
    return float((answers.argmax(axis=1) == labels).mean() * 100)


def learn(
    student: Any,
    device: str,
    train: Rows,
    taught: np.ndarray,
    validation: Rows,
    settings: dict[str, Any],
    request: dict[str, Any],
    state: dict[str, Any] | None,
    before: np.ndarray | None,
) -> dict[str, Any]:
    import torch

    rows, size, epochs = len(train["labels"]), settings["batchSize"], settings["epochs"]
    steps = math.ceil(rows / size)
    # A single row has no variance, which batch normalisation asks for: it joins the batch before it.
    if rows % size == 1 and steps > 1:
        steps -= 1
    optimizer = torch.optim.AdamW(student.parameters(), lr=settings["learningRate"], weight_decay=settings["weightDecay"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(1, epochs * steps))
    # Whether the student ends in a softmax is asked of what it gives while it learns, where many leave it out.
    gives_probabilities: bool | None = None
    epoch, step, loss_sum = 0, 0, 0.0
    history: dict[str, Any] = {"epochs": [], "before": None, "resumedAt": None}
    if state is not None:
        student.load_state_dict(state["student"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])
        epoch, step, loss_sum = state["epoch"], state["step"], state["loss"]
        history = {"epochs": state["epochs"], "before": state["before"], "resumedAt": {"epoch": epoch, "step": step}}
        progress(f"going on from the checkpoint: epoch {epoch + 1}, step {step}")
    elif before is not None:
        history["before"] = accuracy(before, validation["labels"])

    def checkpoint() -> None:
        save_checkpoint(
            request["checkpoint"],
            {
                "fingerprint": request["fingerprint"],
                "student": student.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "random": torch.get_rng_state(),
                "epoch": epoch,
                "step": step,
                "loss": loss_sum,
                "epochs": history["epochs"],
                "before": history["before"],
            },
        )

    saved = time.monotonic()
    while epoch < epochs:
        # Its own generator for each epoch: what is left of one is known after an interruption.
        order = np.random.Generator(np.random.PCG64([settings["seed"], epoch])).permutation(rows)
        student.train()
        while step < steps:
            chosen = np.sort(order[step * size : rows if step == steps - 1 else (step + 1) * size])
            batch = {name: np.ascontiguousarray(train[name][chosen]) for name in names_of(train)}
            answers = forward(student, batch, device).float()
            if gives_probabilities is None:
                gives_probabilities = is_probability(answers.detach().cpu().numpy())
            if gives_probabilities:
                answers = torch.log(answers.clamp_min(SMALLEST_PROBABILITY))
            teacher = torch.from_numpy(taught[chosen]).to(device)
            loss = distillation_loss(answers, teacher, torch.from_numpy(train["labels"][chosen]).to(device), settings)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            loss_sum += float(loss.detach()) * len(chosen)
            step += 1
            if not math.isfinite(loss_sum):
                raise ToolError("DATA_MISFIT", "student", f"the loss is no number in epoch {epoch + 1}: a smaller --learning-rate helps")
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                checkpoint()
                saved = time.monotonic()
        right = accuracy(answer_all(student_answer(student, device), validation), validation["labels"])
        history["epochs"].append({"loss": loss_sum / rows, "accuracy": right})
        progress(f"epoch {epoch + 1} of {epochs}: loss {loss_sum / rows:.4f}, right on {right:.2f} % of the validation rows")
        epoch, step, loss_sum = epoch + 1, 0, 0.0
        checkpoint()
        saved = time.monotonic()
    return history


def distillation_loss(answers: Any, teacher: Any, labels: Any, settings: dict[str, Any]) -> Any:
    import torch.nn.functional as functional

    temperature, alpha = settings["temperature"], settings["alpha"]
    soft = functional.kl_div(
        functional.log_softmax(answers / temperature, dim=1),
        functional.log_softmax(teacher / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    return alpha * temperature**2 * soft + (1 - alpha) * functional.cross_entropy(answers, labels)


def save_checkpoint(path: str, state: dict[str, Any]) -> None:
    """Whole or not at all: a machine may be taken away in the middle of it."""
    import torch

    os.makedirs(os.path.dirname(path), exist_ok=True)
    unfinished = f"{path}.unfinished"
    with open(unfinished, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def load_checkpoint(path: str, fingerprint: str) -> dict[str, Any] | None:
    import torch

    if not os.path.exists(path):
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ToolError("SOURCE_UNREADABLE", path, f"is no whole checkpoint, delete it to begin anew: {one_line(error)}") from error
    if state.get("fingerprint") != fingerprint:
        raise ToolError(
            "OPTION_INVALID", "--checkpoint", "is of other settings, data or networks: give another place, or delete it to begin anew"
        )
    return state
