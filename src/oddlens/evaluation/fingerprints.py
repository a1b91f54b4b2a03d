"""What tells one set of images, and one state of our own code, from another: a kept row holds only for its own."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import oddlens

PACKAGE = Path(oddlens.__file__).parent
METHODS = ("encoders/*.py", "detectors/*.py")
FITTING = ("ensemble.py", "calibration.py", "views.py", *METHODS)  # what is known of images without labels
LEARNING = ("feedback.py", "review_outlook.py", "evaluation/replays.py")  # what is made of labels, and measured of it
READING = {"reading", "sources"}  # what brings files to pixels


def images_digest(*arrays: NDArray[Any] | None) -> str:
    """16 hexadecimal digits of the shapes and contents of arrays."""
    digest = hashlib.blake2b(digest_size=8)
    for array in arrays:
        digest.update(b"none" if array is None else str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@cache
def code_digest(root: Path = PACKAGE, starts: tuple[str, ...] = ("model.py", *METHODS)) -> str:
    """16 hexadecimal digits of all of our code that can change a score, without comments and docstrings.

    That is what the files define that match ``starts``, by default the model, the encoders and the detectors, and
    whatever these import. It is taken of what is
    written, wherever it stands: a definition that moves to another file changes nothing. How files are read is
    left out: a row holds for images as they were read, and :func:`images_digest` tells these.
    """
    waiting = [path for pattern in starts for path in root.glob(pattern)]
    found: dict[Path, list[str]] = {}
    while waiting:
        path = waiting.pop()
        if path not in found and path.is_file() and path.relative_to(root).parts[0] not in READING:
            code = path.read_text("utf-8")
            found[path] = meaning(code)
            waiting += _imported(code, root)
    digest = hashlib.blake2b(digest_size=8)
    for definition in sorted(definition for definitions in found.values() for definition in definitions):
        digest.update(definition.encode())
    return digest.hexdigest()


def _imported(code: str, root: Path) -> Iterator[Path]:
    """Where the modules of ours that a text imports would lie."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE.name:
            inner = root.joinpath(*(node.module or "").split(".")[1:])
            yield from (inner.with_suffix(".py"), *(inner / f"{name.name}.py" for name in node.names))


def meaning(code: str) -> list[str]:
    r"""What Python makes of each definition in a module's text, so that layout, comments and docstrings do not count.

    Imports do not count either: what they bring is found where it is defined.

    >>> meaning("import os\nx = 1  # one") == meaning("'A docstring.'\nx=1")
    True
    """
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
            node.body = [part for part in node.body if not isinstance(part, ast.Import | ast.ImportFrom)]
    return [ast.dump(part) for part in tree.body]
