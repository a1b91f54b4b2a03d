"""JSON written part by part, so that a list of a million rows is never whole in memory.

What comes out is what ``json.dumps`` with an indent of one gives of the same in lists.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

BATCH = 1000  # items of a list in one part


def dumped(content: Mapping[str, Any] | Iterator[Any]) -> Iterator[bytes]:
    """A mapping whose values may be iterators, or an iterator alone, as a file."""
    if isinstance(content, Iterator):
        yield from _listed(content, 0)
    else:
        for number, (key, value) in enumerate(content.items()):
            yield f"{',' if number else '{'}\n {json.dumps(key)}: ".encode()
            if isinstance(value, Iterator):
                yield from _listed(value, 1)
            else:
                yield _indented(value, 1).encode()
        yield b"\n}" if content else b"{}"
    yield b"\n"


def _listed(items: Iterable[Any], depth: int) -> Iterator[bytes]:
    """A list at a depth."""
    before, part, count = "\n" + " " * (depth + 1), [], 0
    for item in items:
        part.append(f"{',' if count else '['}{before}{_indented(item, depth + 1)}")
        count += 1
        if len(part) == BATCH:
            yield "".join(part).encode()
            part = []
    yield ("".join(part) + ("\n" + " " * depth + "]" if count else "[]")).encode()


def _indented(value: Any, depth: int) -> str:
    """One value at a depth. A flat mapping goes through the fast encoder, which knows no indent."""
    if isinstance(value, dict) and value and not any(isinstance(each, dict | list | tuple) for each in value.values()):
        inner = "\n" + " " * (depth + 1)
        flat = json.dumps(value, separators=(f",{inner}", ": "))
        return "{" + inner + flat[1:-1] + "\n" + " " * depth + "}"
    return json.dumps(value, indent=1).replace("\n", "\n" + " " * depth)  # in texts a line end is escaped
