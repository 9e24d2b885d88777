"""Trains the same network with Keras: leaves cifar.keras in a folder.

    python train_keras.py --data data/train.npz --output keras [--epochs 10]

It takes pictures with their channels first, as the PyTorch one does, so that one table compares both on the same rows.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from keras import layers

CLASSES = 10
BATCH_ROWS = 64
SEED = 7


def build() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((3, 32, 32), name="image"),
            layers.Permute((2, 3, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(128, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(CLASSES, activation="softmax", name="probabilities"),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=10)
    given = parser.parse_args()
    keras.utils.set_random_seed(SEED)

    rows = np.load(given.data)
    network = build()
    network.compile(optimizer=keras.optimizers.AdamW(1e-3, weight_decay=1e-2), loss="sparse_categorical_crossentropy")
    network.fit(rows["image"], rows["label"], batch_size=BATCH_ROWS, epochs=given.epochs, verbose=2)
    given.output.mkdir(parents=True, exist_ok=True)
    network.save(given.output / "cifar.keras")


if __name__ == "__main__":
    main()
