"""Trains the sample model and writes model.onnx and heldout.json beside this file.

Data: scikit-learn's `load_digits`, 1,797 real handwritten 8x8 digits (see README.md for source and licence).
Everything is seeded, so the same package versions on the same processor give the same file.

    python -m venv /tmp/train && /tmp/train/bin/pip install -r requirements.txt
    /tmp/train/bin/python train.py
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SPLIT_SEED = 20250117
TRAIN_SEED = 7
HELDOUT_ROWS = 400
EPOCHS = 120
BATCH_ROWS = 64
PEAK_LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-2
MAX_PIXEL = 16.0
OPSET = 17
IR_VERSION = 8

HERE = Path(__file__).parent


def initial_parameters(rng):
    """Three convolutions and one dense layer, 25,866 numbers, drawn after He et al."""

    def he(shape, fan_in):
        return jnp.asarray(rng.normal(0, np.sqrt(2 / fan_in), shape), jnp.float32)

    return {
        "conv1.weight": he((16, 1, 3, 3), 9),
        "conv1.bias": jnp.zeros(16),
        "conv2.weight": he((32, 16, 3, 3), 16 * 9),
        "conv2.bias": jnp.zeros(32),
        "conv3.weight": he((64, 32, 3, 3), 32 * 9),
        "conv3.bias": jnp.zeros(64),
        "dense.weight": he((10, 64 * 2 * 2), 64 * 2 * 2),
        "dense.bias": jnp.zeros(10),
    }


def logits(parameters, images):
    """The network of `build_graph`, in JAX. `images` are pixel values from 0 to 16."""

    def conv_relu(name, x):
        y = jax.lax.conv_general_dilated(x, parameters[f"{name}.weight"], (1, 1), "SAME")
        return jax.nn.relu(y + parameters[f"{name}.bias"][:, None, None])

    def max_pool(x):
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    x = images / MAX_PIXEL
    x = conv_relu("conv1", x)
    x = max_pool(conv_relu("conv2", x))
    x = max_pool(conv_relu("conv3", x))
    return x.reshape(x.shape[0], -1) @ parameters["dense.weight"].T + parameters["dense.bias"]


def loss(parameters, images, labels):
    targets = jax.nn.one_hot(labels, 10) * 0.95 + 0.005
    return -jnp.mean(jnp.sum(targets * jax.nn.log_softmax(logits(parameters, images)), axis=1))


@jax.jit
def adamw_step(parameters, mean, square, step, rate, images, labels):
    gradient = jax.grad(loss)(parameters, images, labels)
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
    square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, square, gradient)

    def update(p, m, s):
        direction = (m / (1 - 0.9**step)) / (jnp.sqrt(s / (1 - 0.999**step)) + 1e-8)
        return p - rate * (direction + WEIGHT_DECAY * p)

    return jax.tree.map(update, parameters, mean, square), mean, square


def shift(images, rng):
    """Moves each image by at most one pixel, as a hand would."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    moved = np.empty_like(images)
    for i, (dy, dx) in enumerate(rng.integers(0, 3, (len(images), 2))):
        moved[i] = padded[i, :, dy : dy + 8, dx : dx + 8]
    return moved


def train(images, labels):
    rng = np.random.default_rng(TRAIN_SEED)
    parameters = initial_parameters(rng)
    mean = jax.tree.map(jnp.zeros_like, parameters)
    square = jax.tree.map(jnp.zeros_like, parameters)
    steps_per_epoch = len(images) // BATCH_ROWS
    step = 0
    for _ in range(EPOCHS):
        order = rng.permutation(len(images))[: steps_per_epoch * BATCH_ROWS]
        for rows in order.reshape(steps_per_epoch, BATCH_ROWS):
            progress = step / (EPOCHS * steps_per_epoch)
            step += 1
            rate = PEAK_LEARNING_RATE * min(1.0, progress / 0.05, (1 - progress) / 0.95)
            batch = shift(images[rows], rng)
            parameters, mean, square = adamw_step(parameters, mean, square, step, rate, batch, labels[rows])
    return {name: np.asarray(value, np.float32) for name, value in parameters.items()}


def build_graph(parameters):
    def conv(name, source, target):
        inputs = [source, f"{name}.weight", f"{name}.bias"]
        return helper.make_node("Conv", inputs, [target], name=name, kernel_shape=[3, 3], pads=[1, 1, 1, 1])

    nodes = [
        helper.make_node("Div", ["image", "max_pixel"], ["scaled"], name="scale"),
        conv("conv1", "scaled", "c1"),
        helper.make_node("Relu", ["c1"], ["r1"], name="relu1"),
        conv("conv2", "r1", "c2"),
        helper.make_node("Relu", ["c2"], ["r2"], name="relu2"),
        helper.make_node("MaxPool", ["r2"], ["p2"], name="pool2", kernel_shape=[2, 2], strides=[2, 2]),
        conv("conv3", "p2", "c3"),
        helper.make_node("Relu", ["c3"], ["r3"], name="relu3"),
        helper.make_node("MaxPool", ["r3"], ["p3"], name="pool3", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p3"], ["features"], name="flatten", axis=1),
        helper.make_node("Gemm", ["features", "dense.weight", "dense.bias"], ["logits"], name="dense", transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], name="softmax", axis=1),
    ]
    initializers = [numpy_helper.from_array(np.float32(MAX_PIXEL), "max_pixel")]
    initializers += [numpy_helper.from_array(value, name) for name, value in parameters.items()]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        initializers,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="slipway models/digits/train.py",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def write_heldout(images, labels):
    rows = ",\n".join("  " + json.dumps(image.astype(int).ravel().tolist(), separators=(",", ":")) for image in images)
    (HERE / "heldout.json").write_text(
        "{\n"
        f'"splitSeed": {SPLIT_SEED},\n'
        f'"labels": {json.dumps(labels.tolist(), separators=(",", ":"))},\n'
        f'"images": [\n{rows}\n]\n'
        "}\n"
    )


def main():
    data = load_digits()
    images = data.images.reshape(-1, 1, 8, 8).astype(np.float32)
    train_images, heldout_images, train_labels, heldout_labels = train_test_split(
        images, data.target, test_size=HELDOUT_ROWS, random_state=SPLIT_SEED, stratify=data.target
    )
    parameters = train(train_images, train_labels)
    onnx.save(build_graph(parameters), HERE / "model.onnx")
    write_heldout(heldout_images, heldout_labels)
    for name, x, y in (("train", train_images, train_labels), ("held-out", heldout_images, heldout_labels)):
        right = int(np.sum(np.argmax(np.asarray(logits(parameters, x)), axis=1) == y))
        print(f"{name}: {right} of {len(y)} right, {100 * right / len(y):.2f} %")


if __name__ == "__main__":
    main()
