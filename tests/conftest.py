"""What every test may ask for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray

import oddlens
from instant import InstantEncoder
from oddlens.explaining import orientation

PACKAGE = Path(oddlens.__file__).parent

# The networks of these tests are so small that a second thread gains nothing, and where other programs want the cores
# it waits most of the time. Tests that are about threads set a number of their own.
torch.set_num_threads(1)

# No test depends on time, neither on how long an example takes nor on how long one is looked for.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def digits() -> NDArray[np.uint8]:
    """The first 600 bundled digits, (600, 28, 28, 1)."""
    import gzip

    with gzip.open(PACKAGE / "data" / "mnist-10k-images-idx3-ubyte.gz") as file:
        file.seek(16)
        return np.frombuffer(file.read(600 * 784), np.uint8).reshape(600, 28, 28, 1)


@pytest.fixture(scope="session")
def dots() -> NDArray[np.uint8]:
    """120 small grey images of one kind, (120, 8, 8, 1): a bright dot near the middle, on noise."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (120, 8, 8, 1), dtype=np.uint8)
    for image in images:
        row, column = rng.integers(2, 5, 2)
        image[row : row + 2, column : column + 2] += 150
    return images


@pytest.fixture
def images() -> NDArray[np.uint8]:
    """60 small dark images of noise, (60, 8, 8); number 7 is light."""
    images = np.random.default_rng(0).integers(0, 60, (60, 8, 8), dtype=np.uint8)
    images[7] = 255 - images[7]
    return images


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which way is up is hardly learned, so that nothing is named turned: for tests that are about other things."""
    monkeypatch.setattr(orientation, "EPOCHS", 0)
    monkeypatch.setattr(orientation, "FEWEST_STEPS", 10)


@pytest.fixture
def instant() -> InstantEncoder:
    """An encoder that learns in a millisecond."""
    return InstantEncoder()
