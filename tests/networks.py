"""Small untrained networks with the shapes of real ones, for tests of pretrained ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Widens, halves the picture, narrows, as the blocks of MobileNets and EfficientNets do."""

    def __init__(self, inside: int, outside: int, stride: int = 2) -> None:
        super().__init__()
        self.widen = nn.Conv2d(inside, 4 * inside, 1)
        self.halve = nn.Conv2d(4 * inside, outside, 3, stride, 1)
        self.norm = nn.BatchNorm2d(outside)

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(self.norm(self.halve(torch.relu(self.widen(images)))))


class Classifier(nn.Module):
    """Five halvings, 2 to 32 pixels a place, then ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.blocks = nn.Sequential(Block(4, 6), Block(6, 8), Block(8, 8, 1), Block(8, 10), Block(10, 12))
        self.head = nn.Linear(12, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(images)).mean((2, 3)))


def classifier() -> Classifier:
    """One with the same weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Classifier()
        network.blocks[0].norm.running_mean += 0.1
    return network
