"""Sentences that customers might write, made of templates: train.csv, heldout.csv (text, label), labels.txt and tokenizer.json.

    python data.py --output data

The vocabulary is every word of the templates, lower-cased, in the format of Hugging Face's tokenizers; other words become [UNK].
"""

import argparse
import csv
import itertools
import json
import random
import re
from pathlib import Path

SEED = 11
TEMPLATES = {
    "billing": [
        "i was charged {times} for my {thing}",
        "please refund the payment for the {thing}",
        "why is the invoice for my {thing} so high",
        "my card was declined when i paid for the {thing}",
    ],
    "delivery": [
        "where is my {thing}, it has not arrived",
        "the parcel with the {thing} is {times} late",
        "please send the {thing} to another address",
        "the courier left my {thing} at the wrong door",
    ],
    "fault": [
        "my {thing} does not turn on",
        "the {thing} stopped working after a day",
        "the screen of the {thing} is broken",
        "the {thing} makes a strange noise and is {times} hotter than before",
    ],
}
THINGS = ["phone", "laptop", "kettle", "lamp", "watch", "speaker", "camera", "printer", "router", "keyboard"]
TIMES = ["twice", "three times", "again"]
OPENINGS = ["", "hello, ", "hi there, ", "good morning, ", "excuse me, "]
ENDINGS = ["", " please help", " thank you", " this is urgent"]


def sentences() -> list[tuple[str, str]]:
    made = []
    for label, templates in TEMPLATES.items():
        for parts in itertools.product(templates, THINGS, TIMES, OPENINGS, ENDINGS):
            template, thing, times, opening, ending = parts
            made.append((opening + template.format(thing=thing, times=times) + ending, label))
    return sorted(set(made))


def tokenizer(texts: list[str]) -> dict:
    words = sorted({word for text in texts for word in re.findall(r"\w+|[^\w\s]+", text.lower())})
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", *words])}
    special = [
        {"id": i, "content": name, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        for i, name in enumerate(["[PAD]", "[UNK]"])
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    rows = sentences()
    random.Random(SEED).shuffle(rows)
    for name, part in (("train", rows[:-400]), ("heldout", rows[-400:])):
        with open(given.output / f"{name}.csv", "w", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *part])
    (given.output / "labels.txt").write_text("".join(f"{label}\n" for label in TEMPLATES))
    (given.output / "tokenizer.json").write_text(json.dumps(tokenizer([text for text, _ in rows])))
    preprocessing = {"ids": {"kind": "text", "tokenizer": "tokenizer.json", "maxLength": 32, "feeds": {"mask": "mask"}}}
    (given.output / "preprocessing.json").write_text(json.dumps(preprocessing))


if __name__ == "__main__":
    main()
