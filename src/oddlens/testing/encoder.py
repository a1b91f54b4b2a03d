"""The contract of an encoder, a check for each sentence of it."""

from __future__ import annotations

import numpy as np

from oddlens.protocols import Encoded, Encoder, LooksAt, Pixels
from oddlens.testing.asking import (
    all_of,
    apart,
    arrays_of,
    ask,
    reading_only,
    require_array,
    require_bad_options_refused,
    require_fields,
    require_methods,
    require_not_fitted,
    require_options,
    require_options_untouched,
    require_raises,
    require_self,
    require_words,
    restored,
    unfitted,
)

FORMS = {"residual": (np.float64, 1), "surprise": (np.float64, 1), "maps": (np.float16, 4)}  # type and axes
NODES = ("sigmoid", "relu", "linear")
CLOSE = (1e-4, 1e-5)  # relative and absolute, for rows that are computed in batches of other sizes


def check_encoder(encoder: Encoder, images: Pixels | None = None) -> None:
    """Raise ``ContractError`` if an encoder does not hold to the contract.

    images:  (n, height, width, channels) uint8 to try it on, 20 or more; by default 60 small grey ones.
    """
    for check in ENCODER_CHECKS:
        check(encoder, sample_images() if images is None else images)


def sample_images(n: int = 60) -> Pixels:
    """(n, 16, 16, 1) grey images: a bright square somewhere near the middle, on noise."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (n, 16, 16, 1), dtype=np.uint8)
    for image in images:
        row, column = rng.integers(4, 8, 2)
        image[row : row + 4, column : column + 4] += 150
    return images


def encoder_has_the_methods(encoder: Encoder, _: Pixels) -> None:
    """It has all methods of an encoder, and ``gives`` names fields of ``Encoded``."""
    require_methods(encoder, ("fit", "encode", "get_state", "set_state"))
    require_fields(encoder, "gives")
    if isinstance(encoder, LooksAt):
        require_words(encoder, "looks_at", encoder.looks_at)


def encoder_keeps_its_options(encoder: Encoder, images: Pixels) -> None:
    """Its constructor stores its options and does no more."""
    require_options(encoder)
    require_options_untouched(encoder, lambda fresh: fresh.fit(images))
    require_bad_options_refused(encoder, lambda fresh: fresh.fit(images))


def encoder_says_that_it_is_not_fitted(encoder: Encoder, images: Pixels) -> None:
    """Before ``fit``, ``encode`` and ``get_state`` raise ``NotFittedError``."""
    require_not_fitted(encoder, "encode", lambda fresh: fresh.encode(images, fresh.gives))
    require_not_fitted(encoder, "get_state", lambda fresh: fresh.get_state())


def encoder_leaves_the_images_alone(encoder: Encoder, images: Pixels) -> None:
    """Neither ``fit`` nor ``encode`` writes into the pixels; ``fit`` gives the encoder itself."""
    fresh, given = unfitted(encoder), images.copy()
    with reading_only(encoder, "fit or encode", [given]):
        require_self(fresh, fresh.fit(given))
        fresh.encode(given, fresh.gives)
    ask(np.array_equal(given, images), encoder, "fit or encode", "to leave the pixels as they are", "other pixels")


def encoder_gives_what_it_says(encoder: Encoder, images: Pixels) -> None:
    """Each field that it is asked for is there, with a row an image, of the type in ``Encoded``, and finite."""
    fresh = unfitted(encoder).fit(images)
    for need in sorted(fresh.gives):
        for count in (len(images), 1):
            encoded = fresh.encode(images[:count], frozenset({need}))
            ask(isinstance(encoded, Encoded), encoder, "encode", "an Encoded", type(encoded).__name__)
            found = {key: value for key, value in arrays_of(encoded).items() if key.partition(" ")[0] == need}
            ask(bool(found), encoder, "encode", f"to fill {need}, which gives names", "nothing there")
            for key, array in found.items():
                type_, axes = FORMS.get(need, (np.float32, 2))
                require_array(encoder, f"encode, {key},", array, type_, count, axes)
            for layer, kind in encoded.node_types.items():
                ask(kind in NODES, encoder, "encode", f"node types among {', '.join(NODES)}", f"{kind!r} ({layer})")


def encoder_is_the_same_again(encoder: Encoder, images: Pixels) -> None:
    """Two fits with the same options to the same images give the same."""
    one, two = (all_of(unfitted(encoder).fit(images), images) for _ in range(2))
    for key in one:
        ask(np.array_equal(one[key], two[key]), encoder, "fit", "the same result from the same options and images",
             f"another {key} the second time ({apart(one[key], two[key])}): draw from "
             "np.random.default_rng(random_state)")


def encoder_takes_images_one_by_one(encoder: Encoder, images: Pixels) -> None:
    """What it gives for an image does not depend on the others that are encoded at the same time."""
    fresh = unfitted(encoder).fit(images)
    whole, some = all_of(fresh, images), all_of(fresh, images[[5, 3]])
    for key in whole:
        same = whole[key].shape[1:] == some[key].shape[1:] and np.allclose(whole[key][[5, 3]], some[key], *CLOSE)
        ask(same, encoder, "encode", "each row to depend on its own image alone",
             f"another {key} for the same images among others")


def encoder_comes_back_from_its_state(encoder: Encoder, images: Pixels) -> None:
    """``set_state`` of what ``get_state`` gave makes an encoder that gives the same; what does not fit is refused."""
    fresh = unfitted(encoder).fit(images)
    again = restored(encoder, fresh.get_state())
    one, two = all_of(fresh, images), all_of(again, images)
    for key in one:
        ask(key in two and np.array_equal(one[key], two[key]), encoder, "set_state",
             "an encoder that gives the same as the one that was saved", f"another {key}")


def encoder_refuses_images_of_another_size(encoder: Encoder, images: Pixels) -> None:
    """Images of another size than the fitted ones are refused with a ``ValueError``, such as ``OptionError``."""
    fresh = unfitted(encoder).fit(images)
    larger = np.concatenate([images, images[:, :1]], 1)
    require_raises(encoder, "encode", ValueError, "for images of another size than the fitted ones",
                    lambda: fresh.encode(larger, fresh.gives))


ENCODER_CHECKS = (
    encoder_has_the_methods, encoder_keeps_its_options, encoder_says_that_it_is_not_fitted,
    encoder_leaves_the_images_alone, encoder_gives_what_it_says, encoder_is_the_same_again,
    encoder_takes_images_one_by_one, encoder_comes_back_from_its_state, encoder_refuses_images_of_another_size)
