"""What every encoder and detector checks of its options alike."""

from __future__ import annotations

import inspect
from collections.abc import Collection

import numpy as np

from oddlens.errors import OptionError


def require_numbers(thing: object, besides: Collection[str] = ()) -> None:
    """Raise ``OptionError`` where an option whose default is a number was given as anything else.

    besides:  options that may be something else too.
    """
    for name, parameter in inspect.signature(type(thing)).parameters.items():
        if name in besides or isinstance(parameter.default, bool) or not isinstance(parameter.default, int | float):
            continue
        value = getattr(thing, name)
        if not isinstance(value, int | float | np.number):
            raise OptionError(f"{name} must be a number, got {value!r}.")
