import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from oddlens.errors import SavedModelError
from oddlens.explaining.causes import Causes
from oddlens.explaining.reference_images import FEWEST_KEPT, Memory

SHAPE, COUNT = (12, 12, 3), 60


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (COUNT, *SHAPE), dtype=np.uint8)


@pytest.fixture
def memory(images):
    return Memory.of(Causes().fit(images), np.arange(COUNT, dtype=np.float64), images)


def test_it_keeps_ordinary_images_as_they_are_and_thumbnails_of_all(memory, images):
    assert memory.rows.max() < COUNT / 2 + 1  # larger is stranger
    for row in memory.rows:
        assert (memory.picture(int(row)) == images[row]).all()
    assert memory.picture(COUNT - 1).shape == (28, 28, 1)


def test_large_images_are_kept_in_few(monkeypatch, images):
    monkeypatch.setattr("oddlens.explaining.reference_images.MOST_BYTES", 3 * 12 * 12 * 5)
    assert len(Memory.of(Causes().fit(images), np.zeros(COUNT), images).rows) == FEWEST_KEPT


def test_it_comes_back_as_it_was(memory, images, tmp_path):
    memory.save(tmp_path / "kept")
    back = Memory.load(tmp_path / "kept", SHAPE, COUNT)
    assert (back.rows == memory.rows).all()
    assert (back.pixels == memory.pixels).all()
    for name, values in back.causes.measure(images[:5]).items():
        assert np.array_equal(values, memory.causes.measure(images[:5])[name])


@pytest.mark.parametrize(("shape", "count"), [((12, 12, 1), COUNT), ((12, 13, 3), COUNT), (SHAPE, COUNT + 1)])
def test_that_of_another_model_is_refused(memory, tmp_path, shape, count):
    memory.save(tmp_path / "kept")
    with pytest.raises(SavedModelError, match="Delete it"):
        Memory.load(tmp_path / "kept", shape, count)


@pytest.mark.parametrize("change", [
    {"rows": None}, {"pixels": None}, {"causes.thumbs": None}, {"rows": np.array([0])}, {"pixels": np.zeros((2, 2))},
    {"rows": np.arange(30) + 31}, {"rows": np.arange(30)[::-1].copy()}, {"rows": np.arange(30) - 1},
    {"rows": np.arange(30, dtype=np.int32)}, {"causes.form": np.zeros(1)},
    {"causes.nets": np.zeros((1, 3), np.float32)},
])
def test_a_damaged_one_is_refused(memory, tmp_path, change):
    memory.save(tmp_path / "kept")
    state = {**load_file(tmp_path / "kept"), **change}
    save_file({key: value for key, value in state.items() if value is not None}, tmp_path / "kept")
    with pytest.raises(SavedModelError, match="Delete it"):
        Memory.load(tmp_path / "kept", SHAPE, COUNT)


@pytest.mark.parametrize("content", [b"", b"nothing of the kind" * 9])
def test_what_is_no_such_file_is_refused(tmp_path, content):
    (tmp_path / "kept").write_bytes(content)
    with pytest.raises(SavedModelError, match="kept"):
        Memory.load(tmp_path / "kept", SHAPE, COUNT)
