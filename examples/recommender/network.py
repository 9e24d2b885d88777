"""Two towers: a vector for each user and one for each item; a rating is how well they go together."""

import torch
from torch import nn

USERS, ITEMS, WIDTH = 80, 60, 8
MIDDLE = 3.0


class TwoTowers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.users = nn.Embedding(USERS, WIDTH)
        self.items = nn.Embedding(ITEMS, WIDTH)
        self.user_bias = nn.Embedding(USERS, 1)
        self.item_bias = nn.Embedding(ITEMS, 1)
        for table in (self.users, self.items, self.user_bias, self.item_bias):
            nn.init.normal_(table.weight, 0, 0.3)

    def forward(self, pair: torch.Tensor) -> torch.Tensor:
        """`pair` has the places of user and item among the categories."""
        user, item = pair[:, 0], pair[:, 1]
        fit = (self.users(user) * self.items(item)).sum(1, keepdim=True)
        return MIDDLE + fit + self.user_bias(user) + self.item_bias(item)


def build() -> nn.Module:
    return TwoTowers()
