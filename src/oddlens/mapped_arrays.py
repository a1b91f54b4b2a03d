"""Arrays in a safetensors file that is written part by part and read by mapping it: only what is looked at is read.

The format is that of ``safetensors``, whose readers open these files too; it is read here by its plain description,
because that library reads an array whole. Nothing in such a file can name code, and no place in it is followed before
it is known to lie within the file.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import SavedModelError
from oddlens.files import open_regular, write_atomically
from oddlens.protocols import State

KINDS = {"BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "F16": "<f2", "U32": "<u4", "I32": "<i4",
         "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8"}
LARGEST_HEADER = 2**24  # bytes
LEAST_MAPPED = 2**24  # bytes of a file; less is read at once
MOST_AXES = 8
FACTS = "__metadata__"


def write_arrays(path: str | Path, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, str] | None = None) -> None:
    """Replace the file at ``path`` by one of these arrays, without a second copy of them in memory.

    facts:  texts that are kept beside them.
    """
    names = {np.dtype(kind): name for name, kind in KINDS.items()}
    # By the size of their numbers, so that each begins at a multiple of it.
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    header: dict[str, Any] = {FACTS: dict(facts)} if facts else {}
    end = 0
    for name, array in ordered:
        start, end = end, end + array.nbytes
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": [start, end]}
    told = json.dumps(header).encode()
    told += b" " * (-len(told) % 8)

    def parts() -> Iterator[bytes | memoryview]:
        yield struct.pack("<Q", len(told)) + told
        for _, array in ordered:
            if array.size:
                yield np.asarray(array, order="C").reshape(-1).view(np.uint8).data

    write_atomically(path, parts())


def mapped_arrays(path: str | Path) -> tuple[State, dict[str, str]]:
    """The arrays of a safetensors file, mapped, and the texts beside them; raises ``SavedModelError`` for another.

    They cannot be written to. What is not looked at is not read, and what was read the system may forget again.
    """
    try:
        with open_regular(path) as file:
            small = os.fstat(file.fileno()).st_size < LEAST_MAPPED
            content = file.read() if small else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if len(content) < 8:
            raise ValueError("it is too short")
        (length,) = struct.unpack_from("<Q", content)
        if not length <= min(LARGEST_HEADER, len(content) - 8):
            raise ValueError(f"its header would have {length} bytes")
        header = json.loads(content[8 : 8 + length])
        facts = header.pop(FACTS, {})
        if not isinstance(facts, dict) or not all(isinstance(text, str) for text in facts.values()):
            raise ValueError("its facts are no texts")
        return {str(name): _array(content, 8 + length, told) for name, told in header.items()}, facts
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SavedModelError(f"{path} holds no arrays that can be read: {error}.") from error


def _array(content: bytes | mmap.mmap, base: int, told: Any) -> NDArray[Any]:
    """One array, by what the header says of it."""
    kind, shape, (start, end) = np.dtype(KINDS[told["dtype"]]), told["shape"], told["data_offsets"]
    if not all(isinstance(number, int) and number >= 0 for number in (*shape, start, end)) or len(shape) > MOST_AXES:
        raise ValueError(f"an array has the shape {shape}")
    count = math.prod(shape)
    if end - start != count * kind.itemsize or base + end > len(content):
        raise ValueError("an array does not lie where the header says")
    if not count:
        return np.empty(shape, kind)
    return np.frombuffer(content, kind, count, base + start).reshape(shape)
