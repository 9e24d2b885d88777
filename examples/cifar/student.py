"""Networks that learn from the one in network.py: a narrow one, and that of which half the channels were pruned."""

import sys
from pathlib import Path

from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from network import WIDTHS, Classifier  # noqa: E402


def build() -> nn.Module:
    """A sixth of the weights: what is distilled. Widths of 16 and its multiples fill the registers of processors."""
    return Classifier((16, 32, 32))


def build_pruned() -> nn.Module:
    """What `slipway model prune --method channels --ratio 0.5` leaves; it is fine-tuned from the weights that were left."""
    first, second, third = (width // 2 for width in WIDTHS)
    return Classifier((first, second, third))
