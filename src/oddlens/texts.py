"""Many texts in two arrays, each decoded when it is asked for: a million names take no more than their bytes.

Bytes that are no UTF-8, as in the names of some files, are kept as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import SavedModelError
from oddlens.protocols import Bools

BLOCK = 65_536  # texts that are searched at a time
MOST_WORDS = 4096  # different texts, up to which each is kept once


class Texts(Sequence[str]):
    """(n,) texts: the bytes of all, one after the other, and where each begins; (n + 1,) int64.

    >>> texts = Texts.of(["one", "", "Three"])
    >>> texts[2], len(texts), texts.containing("E").tolist()
    ('Three', 3, [True, False, True])
    """

    def __init__(self, starts: NDArray[np.int64], content: NDArray[np.uint8]) -> None:
        if (starts.dtype != np.int64 or starts.ndim != 1 or not len(starts) or content.dtype != np.uint8
                or starts[0] != 0 or starts[-1] != content.size or (np.diff(starts) < 0).any()):
            raise SavedModelError("Its texts do not lie one after the other.")
        self.starts, self.content = starts, content

    @classmethod
    def of(cls, texts: Sequence[str]) -> Texts:
        """Of texts in memory."""
        encoded = [text.encode("utf-8", "surrogateescape") for text in texts]
        starts = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)), out=starts[1:])
        return cls(starts, np.frombuffer(b"".join(encoded), np.uint8))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[str, ...]: ...

    def __getitem__(self, at: int | slice) -> str | tuple[str, ...]:
        if isinstance(at, slice):
            return tuple(self[place] for place in range(*at.indices(len(self))))
        return self.encoded(at).decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), BLOCK):  # whole blocks: to ask an array for two numbers takes its time
            ends = self.starts[start : start + BLOCK + 1].tolist()
            content = self.content[ends[0] : ends[-1]].tobytes()
            for first, last in pairwise(ends):
                yield content[first - ends[0] : last - ends[0]].decode("utf-8", "surrogateescape")

    def encoded(self, at: int) -> bytes:
        """One text as the bytes that it is kept as."""
        at = range(len(self))[at]
        return self.content[self.starts[at] : self.starts[at + 1]].tobytes()

    def containing(self, text: str) -> Bools:
        """(n,) which of them hold a text, whatever the case."""
        wanted = text.lower()
        found = np.zeros(len(self), np.bool_)
        if not wanted:
            return ~found
        for start in range(0, len(self), BLOCK):
            ends = self.starts[start : start + BLOCK + 1]
            content = self.content[ends[0] : ends[-1]].tobytes()
            found[start : start + BLOCK] = (_in_ascii(content, ends - ends[0], wanted) if content.isascii() else [
                wanted in one.lower() for one in self[start : start + BLOCK]])
        return found


class Words(Sequence[str]):
    """(n,) texts of which few differ: each kept once, and (n,) which of them each is."""

    def __init__(self, codes: NDArray[Any], words: Sequence[str]) -> None:
        if codes.dtype.kind != "u" or codes.ndim != 1 or (len(codes) and int(codes.max()) >= len(words)):
            raise SavedModelError("Its texts are of a list that lacks some of them.")
        self.codes, self.words = codes, tuple(words)

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[str, ...]: ...

    def __getitem__(self, at: int | slice) -> str | tuple[str, ...]:
        if isinstance(at, slice):
            return tuple(self.words[code] for code in self.codes[at].tolist())
        return self.words[int(self.codes[at])]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), BLOCK):
            yield from self[start : start + BLOCK]


class Places(Mapping[str, int]):
    """Text -> its place among others, all different, by (n,) their order as bytes."""

    def __init__(self, texts: Texts, order: NDArray[np.integer[Any]]) -> None:
        if order.shape != (len(texts),) or (len(texts) and not 0 <= order.min() <= order.max() < len(texts)):
            raise SavedModelError("The order of its names is of others.")
        self._texts, self._order = texts, order

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __getitem__(self, text: str) -> int:
        wanted = text.encode("utf-8", "surrogateescape")
        low, high = 0, len(self._order)
        while low < high:
            middle = (low + high) // 2
            if self._texts.encoded(int(self._order[middle])) < wanted:
                low = middle + 1
            else:
                high = middle
        if low < len(self._order) and self._texts.encoded(row := int(self._order[low])) == wanted:
            return row
        raise KeyError(text)


def coded(texts: Sequence[str]) -> Texts | Words:
    """Texts in the way that takes less room."""
    words: dict[str, int] = {}
    for text in texts:
        words.setdefault(text, len(words))
        if len(words) > MOST_WORDS:
            return Texts.of(texts)
    kind = np.min_scalar_type(max(len(words) - 1, 0))
    return Words(np.fromiter((words[text] for text in texts), kind, len(texts)), tuple(words))


def sorting(texts: Texts) -> NDArray[np.int64]:
    """(n,) the order of texts as bytes."""
    return np.array(sorted(range(len(texts)), key=[texts.encoded(at) for at in range(len(texts))].__getitem__),
                    np.int64)


def _in_ascii(content: bytes, starts: NDArray[np.int64], wanted: str) -> NDArray[np.bool_]:
    """Which of the texts in ASCII hold one in small letters."""
    import pyarrow
    from pyarrow import compute

    if not wanted.isascii():
        return np.zeros(len(starts) - 1, np.bool_)
    array = pyarrow.Array.from_buffers(pyarrow.large_binary(), len(starts) - 1, [
        None, pyarrow.py_buffer(np.ascontiguousarray(starts)), pyarrow.py_buffer(content.lower())])
    found = compute.match_substring(array, wanted.encode())
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)
