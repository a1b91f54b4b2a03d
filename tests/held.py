"""What tests of sources ask of them, and what they are given."""

import struct

import numpy as np
from PIL import Image

import oddlens
from instant import InstantEncoder

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 6, 7), dtype=np.uint8)


def names(source):
    return [source.name(i) for i in range(len(source))]


def idx(array, code=0x08):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def pictures():
    """24 small pictures in colour, one of them odd, as Pillow's."""
    rng = np.random.default_rng(1)
    arrays = rng.integers(0, 60, (24, 20, 28, 3), dtype=np.uint8)
    for number, array in enumerate(arrays):
        array[5:9, 3 + number % 3 : 20] += 120
    arrays[17] = arrays[17][::-1, ::-1] // 2 + 90
    return [Image.fromarray(array) for array in arrays]


def scores(source):
    """The scores of a source's images, in its order."""
    ranking = oddlens.rank(source, encoder=InstantEncoder(), detector="neighbors", n_jobs=2)
    assert not ranking.unreadable
    return ranking.scores
