"""How the checks of the contract ask: in one sentence, with what was got."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from oddlens import registry
from oddlens.errors import SavedModelError
from oddlens.protocols import Encoded, HasOptions, Pixels, State

T = TypeVar("T")
FIELDS = sorted({field.name for field in fields(Encoded)} - {"node_types"})
NO_NUMBER = "no number"


class ContractError(AssertionError):
    """An encoder, a detector or a source does not hold to the contract; the message says where and how."""


def fail(thing: object, where: str, asks: str, got: str) -> NoReturn:
    """Say what the contract asks of a thing, and what was got."""
    raise ContractError(f"{type(thing).__name__}.{where}: the contract asks for {asks}; got {got}.")


def ask(holds: Any, thing: object, where: str, asks: str, got: str) -> None:
    """``fail`` unless it holds."""
    if not holds:
        fail(thing, where, asks, got)


def unfitted(thing: T) -> T:
    """One more with the same options, that has seen nothing yet."""
    if isinstance(thing, HasOptions):
        return clone(thing)  # type: ignore[no-any-return]
    return type(thing)(**registry.options_of(thing))


def require_methods(thing: object, names: Iterable[str]) -> None:
    """Ask for methods by name."""
    if isinstance(thing, type):
        raise ContractError(f"Give the checks an object, {thing.__name__}(), not the class.")
    for name in names:
        ask(callable(getattr(thing, name, None)), thing, name, "this method", "none")


def require_fields(thing: object, name: str) -> None:
    """Ask for an attribute that names fields of ``Encoded``."""
    value = getattr(thing, name, None)
    ask(isinstance(value, frozenset) and bool(value), thing, name, "a frozenset of one field of Encoded or more",
        repr(value))
    ask(set(value or ()) <= set(FIELDS), thing, name, f"names among {', '.join(FIELDS)}", repr(value))


def require_words(thing: object, name: str, value: Any) -> None:
    """Ask for words that can end a sentence."""
    ask(isinstance(value, str) and bool(value.strip()), thing, name, "words", repr(value))
    ask(not value.endswith("."), thing, name, "words that a sentence can go on after, without a full stop", repr(value))


def require_options(thing: object) -> None:
    """Ask for options that are told, stored as they were given, and set as if they had been given."""
    cls: Any = type(thing)
    known = registry.parameters(cls)
    for key, parameter in known.items():
        ask(parameter.default is not parameter.empty, thing, "__init__", f"a default of the option {key}", "none")
    ask(not registry.untold(thing), thing, "get_params", "each option, by get_params or as an attribute of its name",
        f"nothing of {', '.join(registry.untold(thing))}")
    marks = {key: object() for key in known}
    try:
        stored = registry.options_of(cls(**marks))
    except Exception as error:  # whatever a constructor does with a value beside storing it
        fail(thing, "__init__", "a constructor that only stores its options, and leaves checking them to fit",
             f"{type(error).__name__}: {error}")
    for key, mark in marks.items():
        ask(stored[key] is mark, thing, "__init__", f"the option {key} as it was given", repr(stored[key]))
    if isinstance(thing, HasOptions):
        given = thing.get_params(deep=False)
        ask(set(given) == set(known), thing, "get_params", f"the constructor's options, {sorted(known)}",
            repr(sorted(given)))
        set_later = cls().set_params(**marks).get_params(deep=False)
        ask(all(set_later[key] is mark for key, mark in marks.items()), thing, "set_params",
            "the same as from the constructor", repr(set_later))
        require_raises(thing, "set_params", ValueError, "for an option that there is not",
                       lambda: cls().set_params(no_such_option=1))


def require_options_untouched(thing: T, fit: Callable[[T], Any]) -> None:
    """Ask for a ``fit`` that changes no option."""
    one = unfitted(thing)
    before = registry.options_of(one)
    fit(one)
    for key, value in registry.options_of(one).items():
        ask(value is before[key], thing, "fit", f"the option {key} as it was, {before[key]!r}", repr(value))


def require_bad_options_refused(thing: T, fit: Callable[[T], Any]) -> None:
    """Ask for a ``ValueError`` that names the option, where an option that is a number is none."""
    for key, value in registry.options_of(thing).items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        one = type(thing)(**{**registry.options_of(thing), key: NO_NUMBER})
        asks = f"an OptionError, or another ValueError, that names the option {key} where it is {NO_NUMBER!r}"
        try:
            fit(one)
        except ValueError as error:
            ask(key in str(error), thing, "fit", asks, str(error))
        except Exception as error:  # whatever else comes of it
            fail(thing, "fit", asks, f"{type(error).__name__}: {error}")
        else:
            fail(thing, "fit", asks, "none")


def require_raises(thing: object, where: str, wanted: type[Exception], when: str, call: Callable[[], Any]) -> None:
    """Ask for an error of one kind."""
    asks = f"{wanted.__name__} {when}"
    try:
        call()
    except wanted:
        return
    except Exception as error:  # whatever else comes of it
        fail(thing, where, asks, f"{type(error).__name__}: {error}")
    fail(thing, where, asks, "no error")


def require_not_fitted(thing: T, where: str, call: Callable[[T], Any]) -> None:
    """Ask for scikit-learn's error before ``fit``."""
    require_raises(thing, where, NotFittedError, "before fit", lambda: call(unfitted(thing)))


def require_self(fitted: object, given: object) -> None:
    """Ask for a ``fit`` that gives the thing itself."""
    ask(given is fitted, fitted, "fit", "the fitted object itself", type(given).__name__)


def require_array(thing: object, where: str, array: Any, dtype: Any, n: int, axes: int) -> None:
    """Ask for n rows of finite numbers of one type."""
    wanted = f"{np.dtype(dtype)} {'(n,)' if axes == 1 else '(n, d)'} of {n} images"
    if not isinstance(array, np.ndarray):
        fail(thing, where, wanted, type(array).__name__)
    ask(array.dtype == dtype and array.ndim == axes and len(array) == n, thing, where, wanted,
        f"{array.dtype} {array.shape}")
    ask(np.isfinite(array).all(), thing, where, "finite numbers", f"{(~np.isfinite(array)).sum()} that are not")


@contextmanager
def reading_only(thing: object, where: str, arrays: Iterable[NDArray[Any]]) -> Iterator[None]:
    """Ask for methods that write into none of the arrays that they are given."""
    for array in arrays:
        array.flags.writeable = False
    try:
        yield
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        fail(thing, where, "what it is given to be left as it is", f"an attempt to write there ({error})")


def restored(thing: T, state: State) -> T:
    """One more, from a state that went the way through a file."""
    for key, value in state.items() if isinstance(state, dict) else [("", state)]:
        ask(isinstance(key, str) and isinstance(value, np.ndarray) and value.dtype.kind in "biuf", thing, "get_state",
            "a dict of names and arrays of numbers", f"{key!r}: {getattr(value, 'dtype', type(value).__name__)}")
    again: Any = unfitted(thing)
    saved = save({key: np.asarray(value, order="C") for key, value in state.items()})
    try:
        given = again.set_state(load(saved))
    except Exception as error:  # whatever it finds wrong with its own state
        fail(thing, "set_state", "what get_state gave to be taken back", f"{type(error).__name__}: {error}")
    ask(given is again, thing, "set_state", "the object itself", type(given).__name__)
    if state:
        other: Any = unfitted(thing)
        require_raises(thing, "set_state", SavedModelError, "for a state without what it needs",
                       lambda: other.set_state({"nothing of the kind": np.zeros(1)}))
    return again  # type: ignore[no-any-return]


def arrays_of(encoded: Encoded) -> dict[str, NDArray[Any]]:
    """What there is in an ``Encoded``, by name; a layer's name stands behind its field's."""
    single = {"embedding": encoded.embedding, "residual": encoded.residual, "maps": encoded.maps,
              "surprise": encoded.surprise}
    layers = {f"{field} {name}": layer for field in ("activations", "pathway")
              for name, layer in getattr(encoded, field).items()}
    return {key: array for key, array in {**single, **layers}.items() if array is not None}


def all_of(encoder: Any, images: Pixels) -> dict[str, NDArray[Any]]:
    """All that a fitted encoder gives of images."""
    return arrays_of(encoder.encode(images, encoder.gives))


def rows_of(encoded: Encoded, rows: slice) -> Encoded:
    """A copy of some rows."""
    return _each(encoded, lambda array: np.array(array[rows]))


def with_one_strange(encoded: Encoded) -> Encoded:
    """The same, the first row far out in everything."""
    def change(array: NDArray[Any]) -> NDArray[Any]:
        changed = np.array(array)
        rest = changed[1:].astype(np.float64)
        changed[0] = rest.max(0) + 50 * (np.ptp(rest, axis=0) + 1e-3)
        return changed

    def turn(array: NDArray[Any]) -> NDArray[Any]:  # the nodes that are on in most are off, and the other way round
        changed = np.array(array)
        changed[0] = changed.max() + changed.min() - np.median(changed, 0)
        return changed

    return replace(_each(encoded, change), activations={key: turn(value) for key, value in encoded.activations.items()})


def apart(one: NDArray[Any], other: Any) -> str:
    """How far apart two results are, in words."""
    other = np.asarray(other)
    if one.shape != other.shape:
        return f"shapes {one.shape} and {other.shape}"
    return f"up to {np.abs(one - other).max():.3g} apart"


def _each(encoded: Encoded, change: Callable[[NDArray[Any]], Any]) -> Encoded:
    def some(array: NDArray[Any] | None) -> Any:
        return None if array is None else change(array)

    return replace(encoded, embedding=some(encoded.embedding), residual=some(encoded.residual),
                   maps=some(encoded.maps), surprise=some(encoded.surprise),
                   activations={key: change(value) for key, value in encoded.activations.items()},
                   pathway={key: change(value) for key, value in encoded.pathway.items()})
