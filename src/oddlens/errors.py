"""Every error that oddlens raises on purpose.

    OddlensError
    ├── OptionError          an option has a value that cannot work        (also a ValueError)
    ├── SourceError          the images asked for cannot be opened at all
    │   └── TooFewImages     they can, but too few of them to learn from
    ├── UnreadableImage      one image cannot be read; a run lists it and goes on
    ├── SavedModelError      a folder is not a saved model, or not a sound one
    ├── OutputError          the results cannot be written where asked
    └── MissingExtra         an optional package is not installed          (also an ImportError)

Each message says what, where, what was got and what to do. The command line turns these into one line
and exit code 2; anything else is a bug and keeps its traceback. A model that is asked for scores before
``fit`` raises scikit-learn's own ``NotFittedError``.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class OddlensError(Exception):
    """The root of the tree: catch it to catch everything that oddlens says on purpose."""


class OptionError(OddlensError, ValueError):
    """An option has a value that cannot work."""

    @classmethod
    def unknown(cls, kind: str, name: object, known: Iterable[str], listed: Iterable[str] = ()) -> OptionError:
        """An error for a name that is not in a list, with the list, or what is worth listing of it, and the nearest."""
        known = sorted(known)
        near = get_close_matches(str(name), known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return cls(f"There is no {kind} named {name!r}.{hint} Known: {', '.join(sorted(listed) or known) or 'none'}.")


class SourceError(OddlensError):
    """The images asked for cannot be opened at all."""


class TooFewImages(SourceError):
    """Too few images could be read to learn what is ordinary."""


class UnreadableImage(OddlensError):
    """One image cannot be read. ``reason`` says why, in words for the person who owns the file."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type[UnreadableImage], tuple[str, str]]:
        return type(self), (self.name, self.reason)


class SavedModelError(OddlensError):
    """A folder is not a saved model, or not a sound one."""


class OutputError(OddlensError):
    """The results cannot be written where asked."""


class MissingExtra(OddlensError, ImportError):
    """An optional package is not installed."""

    @classmethod
    def named(cls, package: str, extra: str, purpose: str) -> MissingExtra:
        """An error that names the package, what needs it and the line that installs it."""
        return cls(f"{purpose} needs {package}, which is not installed: pip install 'oddlens[{extra}]'")
