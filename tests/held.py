"""What tests of sources ask of them, and what they are given."""

import struct

import numpy as np

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 6, 7), dtype=np.uint8)


def names(source):
    return [source.name(i) for i in range(len(source))]


def idx(array, code=0x08):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
