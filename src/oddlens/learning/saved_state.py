"""What every encoder checks of a saved state and of the images that it is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from oddlens.errors import OptionError, SavedModelError
from oddlens.protocols import Pixels, State

LARGEST_SIDE = 4096  # pixels a side


def saved_shape(state: State) -> tuple[int, ...]:
    """The (height, width, channels) of a saved state, before any memory is asked for."""
    height, width, channels = (int(size) for size in state["shape"])
    if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE and channels in (1, 3)):
        raise ValueError(f"images of {(height, width, channels)}")
    return height, width, channels


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turn whatever goes wrong while a saved state is taken into one clear error."""
    try:
        yield
    except (KeyError, ValueError, TypeError, OverflowError, RuntimeError, OptionError) as error:
        raise SavedModelError(f"The saved {what} does not fit its options: {error}") from error


def check_images(pixels: Pixels, shape: tuple[int, ...]) -> None:
    """Raise ``OptionError`` for images of another shape than was learned."""
    if pixels.shape[1:] != shape:
        raise OptionError(f"The encoder learned images of {shape}, got {pixels.shape[1:]}.")
