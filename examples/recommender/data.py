"""Ratings that people who like certain kinds of things might give: train.csv, heldout.csv (user, item, rating), preprocessing.json.

    python data.py --output data

Each of 80 users has a taste of four numbers, each of 60 items the same, and a rating from 1 to 5 is how well they go together, with noise.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np

SEED = 5
USERS, ITEMS, TASTES = 80, 60, 4
ROWS, HELDOUT_ROWS = 4000, 400


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    tastes, kinds = rng.normal(0, 1, (USERS, TASTES)), rng.normal(0, 1, (ITEMS, TASTES))
    # Every pair at most once: what is held out was never seen.
    pairs = rng.permutation(USERS * ITEMS)[:ROWS]
    users, items = pairs // ITEMS, pairs % ITEMS
    fit = (tastes[users] * kinds[items]).sum(1) / np.sqrt(TASTES)
    ratings = np.clip(3 + fit + rng.normal(0, 0.2, ROWS), 1, 5).round(2)
    names = {"user": [f"user-{i:02d}" for i in range(USERS)], "item": [f"item-{i:02d}" for i in range(ITEMS)]}
    rows = [(names["user"][u], names["item"][i], rating) for u, i, rating in zip(users, items, ratings)]
    for name, part in (("train", rows[:-HELDOUT_ROWS]), ("heldout", rows[-HELDOUT_ROWS:])):
        with open(given.output / f"{name}.csv", "w", newline="") as file:
            csv.writer(file).writerows([("user", "item", "rating"), *part])
    columns = [{"name": name, "categories": categories} for name, categories in names.items()]
    (given.output / "preprocessing.json").write_text(json.dumps({"pair": {"kind": "columns", "columns": columns}}))


if __name__ == "__main__":
    main()
