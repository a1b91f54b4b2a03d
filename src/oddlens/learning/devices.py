"""Where networks learn and images are encoded: on the processor, or on a GPU, where in full single precision.

What is learned without a network is learned on the processor whatever there is, so that a GPU changes no more than the
rounding of what is then computed with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import RLock
from typing import Any

import torch

from oddlens.errors import OptionError

DEVICES = ("cpu", "cuda", "mps")
GPU_BATCH = 64  # images; enough that a GPU computes more than it waits
SINGLE_PRECISION = {"allow_tf32": False, "fp32_precision": "ieee"}  # in either of the words that torch has for it

_turn = RLock()  # whose a GPU is


def choose_device(device: str) -> torch.device:
    """The torch device for a name; ``"auto"`` is the GPU if there is one.

    Raises ``OptionError`` for a device that is not there, and for one on which nothing is trained here.
    """
    if _known(device) == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(f"device {device!r} cannot be used here ({reason}); try 'auto' or 'cpu'.") from error
    return chosen


def _known(device: str) -> str:
    if not isinstance(device, str) or device.partition(":")[0] not in ("auto", *DEVICES):
        raise OptionError(f"device must be 'auto', 'cpu', 'cuda', 'mps', or one of several like 'cuda:1'; "
                          f"got {device!r}.")
    return device


def encoding_device(device: str) -> torch.device:
    """The GPU that torch for CUDA or ROCm finds, if ``device`` allows it; else the processor.

    For what is learned on the processor. Apple's GPU lacks some of the steps. A GPU that is not there, as of a model
    that was made elsewhere, is the processor too. Raises ``OptionError`` for what is no device.
    """
    _known(device)
    with suppress(OptionError):
        if (chosen := choose_device(device)).type == "cuda":
            return chosen
    return torch.device("cpu")


def at_once(device: torch.device, processor: int) -> int:
    """How many images are encoded at a time, where a processor takes so many."""
    return processor if device.type == "cpu" else GPU_BATCH


@contextmanager
def computing_on(device: torch.device) -> Iterator[None]:
    """Within the block a GPU is this thread's alone, and multiplies in single precision.

    Alone, for its memory is to hold one batch at a time. In single precision, not in the ten bits (TF32) that torch's
    convolutions are content with there.
    """
    if device.type != "cuda":
        yield
        return
    with _turn:
        cudnn: Any = torch.backends.cudnn
        products: Any = torch.backends.cuda.matmul
        try:
            before = [(place, "allow_tf32", place.allow_tf32) for place in (cudnn, products)]
        except RuntimeError:  # somebody speaks in the words of torch since 2.9, which do not mix with those before
            before = [(place, "fp32_precision", place.fp32_precision) for place in (cudnn.conv, cudnn.rnn, products)]
        for place, name, _ in before:
            setattr(place, name, SINGLE_PRECISION[name])
        try:
            yield
        finally:
            for place, name, was in before:
                setattr(place, name, was)
