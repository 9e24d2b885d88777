"""Makes the rows that the example learns from and is measured on.

    python data.py --output data                                      # scikit-learn's digits, 3x32x32, in random colours
    python data.py --output data --cifar10 cifar-10-batches-bin       # CIFAR-10 itself, its binary version, where you have it

Leaves train.npz and heldout.npz (tensors as the network takes them), heldout/<class>/<number>.png (the same rows as pictures) and
labels.txt. The digits are those that scikit-learn ships: 1,797 handwritten ones of 8x8 pixels, see models/digits/README.md for their
source and licence. Each is enlarged to 24x24 and put somewhere on a picture of 32x32, in one random colour on another, with noise.
"""

import argparse
import struct
import zlib
from pathlib import Path

import numpy as np

SEED = 20250117
HELDOUT_DIGITS = 400
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
# How a byte becomes what the network takes; preprocessing.json tells the server the same.
MEAN, DEVIATION = 0.5, 0.25


def digits(rng: np.random.Generator, train_rows: int, heldout_rows: int):
    from sklearn.datasets import load_digits

    data = load_digits()
    order = rng.permutation(len(data.images))
    split = len(order) - HELDOUT_DIGITS
    draw = lambda pool, rows: [pool[i % len(pool)] for i in range(rows)]  # noqa: E731
    parts = []
    for chosen in (draw(order[:split], train_rows), draw(order[split:], min(heldout_rows, HELDOUT_DIGITS))):
        pictures = np.stack([coloured(data.images[i] / 16, rng) for i in chosen])
        parts.append((pictures, data.target[chosen].astype(np.int64)))
    return DIGITS, parts


def coloured(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One digit as a picture of 32x32x3 bytes."""
    strength = np.zeros((32, 32))
    top, left = rng.integers(2, 7, 2)
    strength[top : top + 24, left : left + 24] = enlarged(ink, 24)
    paper, pen = rng.uniform(0, 1, 3), rng.uniform(0, 1, 3)
    while np.abs(pen - paper).max() < 0.5:
        pen = rng.uniform(0, 1, 3)
    picture = paper + (pen - paper) * strength[:, :, None] + rng.normal(0, 0.08, (32, 32, 3))
    return np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)


def enlarged(image: np.ndarray, size: int) -> np.ndarray:
    """Linear between the pixels."""
    at = np.linspace(0, len(image) - 1, size)
    low = np.minimum(at.astype(int), len(image) - 2)
    part = at - low
    rows = image[low] * (1 - part)[:, None] + image[low + 1] * part[:, None]
    return rows[:, low] * (1 - part) + rows[:, low + 1] * part


def cifar10(folder: Path, train_rows: int, heldout_rows: int):
    """The binary version: each row is a byte for the class and 3,072 for the channels, one after the other."""
    labels = (folder / "batches.meta.txt").read_text().split()
    files = [sorted(folder.glob("data_batch_*.bin")), [folder / "test_batch.bin"]]
    parts = []
    for names, rows in zip(files, (train_rows, heldout_rows)):
        raw = np.concatenate([np.fromfile(name, np.uint8).reshape(-1, 3073) for name in names])[:rows]
        pictures = raw[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        parts.append((np.ascontiguousarray(pictures), raw[:, 0].astype(np.int64)))
    return labels, parts


def as_tensor(pictures: np.ndarray) -> np.ndarray:
    values = (pictures.astype(np.float32) / 255 - MEAN) / DEVIATION
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2)).astype(np.float32)


def png(picture: np.ndarray) -> bytes:
    """A PNG by hand: scikit-learn brings nothing that writes pictures."""
    height, width, _ = picture.shape
    lines = b"".join(b"\0" + line.tobytes() for line in picture)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--cifar10", type=Path)
    parser.add_argument("--train-rows", type=int, default=4000)
    parser.add_argument("--heldout-rows", type=int, default=400)
    given = parser.parse_args()
    rng = np.random.default_rng(SEED)
    if given.cifar10 is None:
        labels, (train, heldout) = digits(rng, given.train_rows, given.heldout_rows)
    else:
        labels, (train, heldout) = cifar10(given.cifar10, given.train_rows, given.heldout_rows)

    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "labels.txt").write_text("".join(f"{label}\n" for label in labels))
    for name, (pictures, classes) in (("train", train), ("heldout", heldout)):
        np.savez(given.output / f"{name}.npz", image=as_tensor(pictures), label=classes)
        print(f"{name}: {len(classes)} rows")
    for i, (picture, label) in enumerate(zip(*heldout)):
        folder = given.output / "heldout" / labels[label]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:05d}.png").write_bytes(png(picture))


if __name__ == "__main__":
    main()
