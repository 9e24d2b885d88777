"""A bag of embedded words, averaged over those that are there, and two dense layers."""

import torch
from torch import nn

WORDS = 128
CLASSES = 3
WIDTH = 16


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.hidden = nn.Linear(WIDTH, 32)
        self.dense = nn.Linear(32, CLASSES)

    def logits(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        there = mask.to(torch.float32).unsqueeze(2)
        mean = (self.embedding(ids) * there).sum(1) / there.sum(1).clamp(min=1)
        return self.dense(torch.relu(self.hidden(mean)))

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.logits(ids, mask), dim=1)


def build() -> nn.Module:
    return Classifier()
