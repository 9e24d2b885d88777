"""Trains network.py on sentences: leaves weights.pt, and sample.npz for the comparison after the conversion.

    python train.py --data data --output weights.pt
"""

import argparse
import csv
import json
import re
from pathlib import Path

import numpy as np
import torch
from network import WORDS, build
from torch.nn.functional import cross_entropy

SEED = 3
BATCH_ROWS = 64
UNKNOWN = 1
HIDDEN = 0.15


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=6)
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    ids, mask, labels = read_rows(given.data)
    network = build().train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for epoch in range(given.epochs):
        for chosen in torch.randperm(len(ids)).split(BATCH_ROWS):
            # Some words are hidden, so that the network learns to live with words that it does not know.
            hidden = torch.where(torch.rand(ids[chosen].shape) < HIDDEN, UNKNOWN, ids[chosen])
            loss = cross_entropy(network.logits(hidden, mask[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1} of {given.epochs}: loss of the last rows {loss.item():.4f}", flush=True)
    torch.save(network.eval().state_dict(), given.output)
    np.savez(given.data / "sample.npz", ids=ids[:8].numpy(), mask=mask[:8].numpy())


def read_rows(data: Path) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """As the tokenizer of data.py does it, which is lower case, words and marks."""
    vocabulary = json.loads((data / "tokenizer.json").read_text())["model"]["vocab"]
    if len(vocabulary) > WORDS:
        raise SystemExit(f"{len(vocabulary)} words do not fit into {WORDS}")
    names = (data / "labels.txt").read_text().split()
    with open(data / "train.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    words = [re.findall(r"\w+|[^\w\s]+", row["text"].lower()) for row in rows]
    longest = max(map(len, words))
    ids = torch.zeros(len(rows), longest, dtype=torch.int64)
    mask = torch.zeros(len(rows), longest, dtype=torch.int64)
    for i, row in enumerate(words):
        ids[i, : len(row)] = torch.tensor([vocabulary.get(word, UNKNOWN) for word in row])
        mask[i, : len(row)] = 1
    return ids, mask, torch.tensor([names.index(row["label"]) for row in rows])


if __name__ == "__main__":
    main()
