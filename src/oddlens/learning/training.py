"""The one training loop: any network whose ``forward`` returns a loss.

The network and the loop do not know each other. A method defines what its network is asked to do; here it is
asked, in shuffled mini-batches, until the *training* loss has stopped falling or the budget of steps is spent.
The budget counts steps, not epochs, so that it does not grow with the collection. No label, no held-out
score and no look at any result decides when to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from oddlens.errors import OptionError
from oddlens.kernels import limited
from oddlens.learning.adam import Adam
from oddlens.learning.devices import computing_on
from oddlens.progress import advance
from oddlens.protocols import Pixels

#: Pixels up to this size are copied to the device whole; larger sets are sliced batch by batch.
RESIDENT_BYTES = 2 * 2**30

Network = TypeVar("Network", bound=nn.Module)


def train(
    network: nn.Module,
    pixels: Pixels,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    random_state: int,
    device: torch.device,
    window: int = 100,
    patience: int = 4,
    tolerance: float = 0.005,
    learn: Callable[[Tensor], Tensor] | None = None,
) -> list[float]:
    """Train ``network`` in place on (n, height, width, channels) uint8; give the mean loss of each window.

    network:        ``network(batch)`` is a scalar loss; batch is float32 (b, channels, height, width) in 0..1.
    steps:          the most mini-batches to take; the learning rate falls to a tenth over the last fifth.
    window:         steps over which the loss is averaged before it is judged.
    patience:       windows without an improvement of ``tolerance`` (a share of the loss) after which the
                    learning rate falls to a tenth; after as many again, training stops.
    random_state:   fixes the order of the images.
    learn:          adds the gradients of a batch to the network's and gives the loss; by default ``learned``.

    Raises ``OptionError`` if the loss stops being a number.
    """
    _check(steps=steps, batch_size=batch_size)
    if not learning_rate > 0:
        raise OptionError(f"learning_rate must be above 0, got {learning_rate}.")
    network.train()
    optimizer = Adam(network.parameters(), learning_rate)
    history: list[float] = []
    best, stale, slowed = float("inf"), 0, False
    total = torch.zeros((), device=device)
    for step, batch in enumerate(_shuffled(pixels, batch_size, random_state, device), start=1):
        optimizer.forget()
        total += learned(network, batch) if learn is None else learn(batch)
        optimizer.step()
        if step % window == 0 or step == steps:
            history.append(float(total) / (step - (step - 1) // window * window))
            total.zero_()
            advance("learning", step, steps)
            if not np.isfinite(history[-1]):
                raise OptionError(f"The training loss became {history[-1]} at step {step}; lower learning_rate.")
            stale = 0 if history[-1] < best * (1 - tolerance) else stale + 1
            best = min(best, history[-1])
            if not slowed and (stale >= patience or step >= 0.8 * steps):
                slowed, stale = True, 0
                optimizer.learning_rate = learning_rate / 10
            elif stale >= patience:
                break
        if step == steps:
            break
    advance("learning", steps, steps)
    network.eval()
    return history


def learned(network: nn.Module, batch: Tensor, share: float = 1.0) -> Tensor:
    """A share of the loss of a mini-batch, without its history; its gradients are added to the network's."""
    with computing_on(batch.device):
        loss = share * network(batch)
        loss.backward()
    lost: Tensor = loss.detach()
    return lost


class Halves:
    """A mini-batch in two halves, each learned from on a thread of its own by one of two networks that share weights.

    There are two halves on any machine, and their gradients are added in one order: what is learned does not depend on
    how many cores there are.

    network:  learns; the gradients are left in its weights.
    second:   another of the same form. Its weights become those of ``network``; running means and random numbers stay
              its own.
    """

    def __init__(self, network: nn.Module, second: nn.Module) -> None:
        self.networks = network.train(), second.train()
        self.pairs = list(zip(network.parameters(), second.parameters(), strict=True))
        for weight, same in self.pairs:
            same.data = weight.data

    def __enter__(self) -> Self:
        self._other = ThreadPoolExecutor(1, initializer=_on_one_thread)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._other.shutdown()

    def learn(self, batch: Tensor) -> Tensor:
        """The mean loss over a mini-batch; its gradients are added to the network's."""
        cut = len(batch) // 2
        if not cut:
            return learned(self.networks[0], batch)
        for _, same in self.pairs:
            same.grad = None
        waiting = self._other.submit(learned, self.networks[1], batch[cut:], (len(batch) - cut) / len(batch))
        loss = learned(self.networks[0], batch[:cut], cut / len(batch))
        loss += waiting.result()
        for weight, same in self.pairs:
            if weight.grad is not None and same.grad is not None:
                weight.grad += same.grad
        return loss


def in_batches(pixels: Pixels, batch_size: int, device: torch.device) -> Iterator[tuple[slice, Tensor]]:
    """The pixels in order: pairs of the rows and their float32 (b, channels, height, width) in 0..1."""
    for start in range(0, len(pixels), batch_size):
        rows = slice(start, min(start + batch_size, len(pixels)))
        # np.array copies: torch will not share memory that it may not write to.
        yield rows, as_batch(torch.from_numpy(np.array(pixels[rows])).to(device))


def filled(pixels: Pixels, size: int, device: torch.device | None = None) -> Tensor:
    """(b, height, width, channels) uint8 as float32 (size, channels, height, width) in 0..1, blank images after b.

    Matrix products of other shapes are other compiled code, and so are the last few numbers of an array that fill no
    register: the last digits of an image would depend on how many come with it. In batches of one size they do not.
    """
    batch = np.zeros((size, *pixels.shape[1:]), np.uint8)
    batch[: len(pixels)] = pixels
    return as_batch(torch.from_numpy(batch).to(device))


def as_batch(pixels: Tensor) -> Tensor:
    """uint8 (b, height, width, channels) as float32 (b, channels, height, width) in 0..1."""
    return pixels.permute(0, 3, 1, 2).float().div_(255)


def seeded(build: Callable[[], Network], random_state: int) -> Network:
    """What ``build`` makes with torch's random numbers fixed, the caller's own left as they were."""
    with _own_randomness(random_state):
        return build()


def one_thread() -> AbstractContextManager[None]:
    """Within the block torch computes on one thread.

    Small matrices gain nothing from a second one, lose by an order of magnitude where another program wants
    the same core (measured: docs/lab/autoencoder.md), and sum in an order that depends on the number of
    threads; with one, the same seed gives the same network on any number of cores.
    """
    return limited(1, torch.get_num_threads, torch.set_num_threads)


def _on_one_thread() -> None:
    """Have torch compute on one thread in a new thread of ours.

    Asked first: else its first computation takes the number that any thread set last in place of its own.
    """
    torch.get_num_threads()
    torch.set_num_threads(1)


_drawing = Lock()  # whose torch's random numbers are: one for the whole process


@contextmanager
def _own_randomness(random_state: int) -> Iterator[None]:
    with _drawing, torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_state)
        yield


def _shuffled(pixels: Pixels, batch_size: int, random_state: int, device: torch.device) -> Iterator[Tensor]:
    """Mini-batches without end, every image once an epoch, the order new in each."""
    order = np.random.default_rng(random_state)
    batch_size = min(batch_size, len(pixels))
    resident = pixels.nbytes <= RESIDENT_BYTES
    images = torch.from_numpy(np.array(pixels)).to(device) if resident else None
    while True:
        shuffled = order.permutation(len(pixels))
        # The last, short batch of an epoch is dropped; its images come in another epoch.
        for start in range(0, len(pixels) - batch_size + 1, batch_size):
            rows = np.sort(shuffled[start : start + batch_size])
            if images is not None:
                yield as_batch(images[torch.from_numpy(rows).to(device)])
            else:
                yield as_batch(torch.from_numpy(pixels[rows]).to(device))


def _check(**counts: int) -> None:
    for name, value in counts.items():
        if not isinstance(value, int | np.integer) or value < 1:
            raise OptionError(f"{name} must be a whole number of 1 or more, got {value!r}.")
