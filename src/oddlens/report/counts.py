"""How many images each simple cause names, and how many are copies of each other: what many users come for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

#: Causes by their short names, as a heading says them. A cause that is not here is headed by its own name.
HEADINGS = {
    "copy": "Exact copy", "near": "Near duplicate", "cut": "Cut off", "faint": "Low contrast",
    "grey": "Grey among coloured ones", "coloured": "In colour among grey ones",
}


def split(causes: str) -> tuple[str, ...]:
    """The short names of one image's causes.

    >>> split("blurred, dark"), split("")
    (('blurred', 'dark'), ())
    """
    return tuple(name.strip() for name in causes.split(",") if name.strip())


def heading(cause: str) -> str:
    """A cause as a heading says it."""
    return HEADINGS.get(cause, cause[:1].upper() + cause[1:])


def in_a_line(causes: Sequence[str]) -> str:
    """The causes of one image as they stand under its picture.

    >>> in_a_line(["blurred", "faint"])
    'Blurred, low contrast'
    """
    first, *others = [heading(cause) for cause in causes] or [""]
    return ", ".join([first, *(other[:1].lower() + other[1:] for other in others)])


def cause_counts(causes: Sequence[str] | None) -> dict[str, int]:
    """Short name -> how many images it is named of, the most frequent first; of (n,) causes separated by commas.

    >>> cause_counts(["dark", "", "blurred, dark"])
    {'dark': 2, 'blurred': 1}
    """
    found = Counter(name for each in causes or () for name in split(each))
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def duplicate_counts(groups: Sequence[Sequence[int]]) -> dict[str, int]:
    """How many groups of copies and near duplicates there are, and how many images are in them.

    >>> duplicate_counts([[0, 4], [1, 2, 9]])
    {'groups': 2, 'images': 5}
    """
    return {"groups": len(groups), "images": len({row for group in groups for row in group})}


def came_in_words(update: Mapping[str, Any] | None) -> list[str]:
    """What joined a run later, and what became of the collection; nothing of a run that nothing joined.

    update:  as the summary of a run has it.
    """
    if not update:
        return []
    return [f"{update['new']:,} new images, {update['changed']:,} that changed, {update['gone']:,} that are gone and "
            "stay in the run.", str(update["statement"])]


def in_words(causes: dict[str, int], duplicates: dict[str, int]) -> list[str]:
    """The counts as lines of a terminal; none where there is nothing to count.

    >>> in_words({"dark": 2}, {"groups": 1, "images": 3})
    ['Simple causes: dark 2.', 'Copies and near duplicates: 3 images in 1 group.']
    """
    lines = []
    if causes:
        named = ", ".join(f"{heading(name).lower()} {count:,}" for name, count in causes.items())
        lines.append(f"Simple causes: {named}.")
    if duplicates.get("groups"):
        groups, images = duplicates["groups"], duplicates["images"]
        lines.append(f"Copies and near duplicates: {images:,} images in {groups:,} group{'' if groups == 1 else 's'}.")
    return lines
