"""The network of the example: three convolutions and one dense layer over pictures of 3x32x32, probabilities of 10 classes."""

import torch
from torch import nn

CLASSES = 10
WIDTHS = (32, 64, 128)


class Classifier(nn.Module):
    """Widths are parameters, so that the student and the pruned network are the same code."""

    def __init__(self, widths: tuple[int, int, int] = WIDTHS) -> None:
        super().__init__()
        first, second, third = widths
        self.conv1 = nn.Conv2d(3, first, 3, padding=1)
        self.conv2 = nn.Conv2d(first, second, 3, padding=1)
        self.conv3 = nn.Conv2d(second, third, 3, padding=1)
        self.dense = nn.Linear(third * 4 * 4, CLASSES)
        self.pool = nn.MaxPool2d(2)

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.conv1(image)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = self.pool(torch.relu(self.conv3(x)))
        return self.dense(torch.flatten(x, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.logits(image), dim=1)


def build() -> nn.Module:
    """What `slipway model convert network.py:build` calls."""
    return Classifier()
