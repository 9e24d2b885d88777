"""Trains network.py on ratings: leaves weights.pt, and sample.npz for the comparison after the conversion.

    python train.py --data data --output weights.pt
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from network import build
from torch.nn.functional import mse_loss

SEED = 3
BATCH_ROWS = 128


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=30)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    with open(given.data / "train.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    # The names end with their place among the categories.
    places = [[int(row[name].split("-")[1]) for name in ("user", "item")] for row in rows]
    pairs = torch.tensor(places, dtype=torch.int64)
    ratings = torch.tensor([[float(row["rating"])] for row in rows])
    network = build().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-2, weight_decay=0.5)
    for epoch in range(given.epochs):
        for chosen in torch.randperm(len(pairs)).split(BATCH_ROWS):
            loss = mse_loss(network(pairs[chosen]), ratings[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if (epoch + 1) % 10 == 0:
            print(f"epoch {epoch + 1} of {given.epochs}: loss of the last rows {loss.item():.4f}", flush=True)
    torch.save(network.eval().state_dict(), given.output)
    np.savez(given.data / "sample.npz", pair=pairs[:8].numpy())


if __name__ == "__main__":
    main()
