"""Adam, step by step: torch's own imports torch's compiler, which takes over a second. The numbers are the same.

Kingma, Ba, *Adam: a method for stochastic optimization*, 2015; Loshchilov, Hutter, *Decoupled weight decay
regularization*, 2019.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

MEAN_DECAY, SQUARE_DECAY, LEAST_SCALE = 0.9, 0.999, 1e-8  # as in the paper


class Adam:
    """Moves weights against their gradients, each at its own pace.

    weights:        tensors that require gradients.
    learning_rate:  of the next step; may be changed between steps.
    weight_decay:   share of the learning rate by which weights shrink in each step.
    """

    def __init__(self, weights: Iterable[Tensor], learning_rate: float, weight_decay: float = 0.0) -> None:
        self.weights = list(weights)
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self._means = [torch.zeros_like(weight) for weight in self.weights]
        self._squares = [torch.zeros_like(weight) for weight in self.weights]
        self._steps = 0

    def forget(self) -> None:
        """Drop the gradients of the last step."""
        for weight in self.weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step by the gradients as they are."""
        self._steps += 1
        pace = self.learning_rate / (1 - MEAN_DECAY**self._steps)
        unbiased = (1 - SQUARE_DECAY**self._steps) ** 0.5
        for weight, mean, square in zip(self.weights, self._means, self._squares, strict=True):
            gradient = weight.grad
            if gradient is None:
                continue
            if self.weight_decay:
                weight.mul_(1 - self.learning_rate * self.weight_decay)
            mean.lerp_(gradient, 1 - MEAN_DECAY)
            square.mul_(SQUARE_DECAY).addcmul_(gradient, gradient, value=1 - SQUARE_DECAY)
            weight.addcdiv_(mean, (square.sqrt() / unbiased).add_(LEAST_SCALE), value=-pace)
