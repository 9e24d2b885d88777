"""Trains network.py with PyTorch: leaves weights.pt (a state_dict) and scripted.pt (TorchScript) in a folder.

    python train_torch.py --data data/train.npz --output torch [--epochs 10]
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch
from network import build
from torch.nn.functional import nll_loss

BATCH_ROWS = 64
SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=10)
    # Threads of a network this small wait for each other longer than they compute where others use the processor, too.
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)

    rows = np.load(given.data)
    images, labels = torch.from_numpy(rows["image"]), torch.from_numpy(rows["label"])
    network = build().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    steps = given.epochs * -(-len(images) // BATCH_ROWS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    for epoch in range(given.epochs):
        total = 0.0
        for chosen in torch.randperm(len(images)).split(BATCH_ROWS):
            # From the numbers before the softmax: its logarithm alone loses small probabilities.
            loss = nll_loss(torch.log_softmax(network.logits(images[chosen]), dim=1), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(chosen)
        print(f"epoch {epoch + 1} of {given.epochs}: loss {total / len(images):.4f}", flush=True)

    given.output.mkdir(parents=True, exist_ok=True)
    network.eval()
    torch.save(network.state_dict(), given.output / "weights.pt")
    # PyTorch says that TorchScript is on its way out; files of it are what many people have.
    warnings.filterwarnings("ignore", category=FutureWarning)
    torch.jit.trace(network, images[:2]).save(given.output / "scripted.pt")


if __name__ == "__main__":
    main()
