"""Contact sheets: the strangest images of each detector side by side in one picture, as in the paper's figure."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from oddlens.errors import OptionError
from oddlens.files import write_atomically
from oddlens.reading.decoding import as_picture

SHEET_WIDTH = 1560  # pixels, about, of a sheet of several panels: a README shows it without shrinking
LARGEST_PICTURE, SMALLEST_PICTURE = 140, 48  # pixels a side of an image
PANELS_ACROSS = 5  # panels in a row; more start another
GAP = 8
LABEL_PIXELS = 18  # height of the text under an image
HEAD_PIXELS = 58  # height of a panel's title and caption
MARGIN = 28
INK, SOFT, PAPER, FRAME, ODD = "#1b1f24", "#59636e", "#ffffff", "#d1d9e0", "#b3261e"
FRAME_PIXELS = 3  # pixels of the frame of a flagged image


@dataclass(frozen=True)
class Panel:
    """One block of a contact sheet: a title, a line under it, and images with a short label each.

    Titles, captions and labels are one line; where they are too long for their place they are set smaller, then
    cut. A panel with no images says so. The first ``flagged`` images have a thick red frame and a red label, which the
    caption should explain.

    >>> Panel("Strangest", "by score", [np.zeros((28, 28, 1), np.uint8)], ["2.99"]).labels
    ['2.99']
    """

    title: str
    caption: str
    images: Sequence[NDArray[np.uint8]]  # each (height, width, 1 or 3)
    labels: Sequence[str]
    flagged: int = 0

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise OptionError(f"Panel {self.title!r} has {len(self.images)} images and {len(self.labels)} labels: "
                              "give each image one label.")


def write_gallery(path: str | Path, panels: Sequence[Panel], columns: int = 4) -> None:
    """Write panels side by side as a PNG, ``columns`` images across in each."""
    if columns < 1:
        raise OptionError(f"columns takes a number of images of 1 or more, got {columns}.")
    content = io.BytesIO()
    _sheet(panels, columns).save(content, "PNG", optimize=True)
    write_atomically(path, content.getvalue())


def _sheet(panels: Sequence[Panel], columns: int) -> Image.Image:
    down = -(-len(panels) // PANELS_ACROSS) or 1
    across = -(-len(panels) // down) or 1  # rows of equal length: six panels stand in two rows of three
    cell = _cell(panels, across * columns)
    rows = max([-(-len(panel.images) // columns) for panel in panels], default=1) or 1
    width = columns * (cell + GAP) - GAP
    height = HEAD_PIXELS + rows * (cell + LABEL_PIXELS + GAP) - GAP
    size = (MARGIN + across * (width + MARGIN), MARGIN + down * (height + MARGIN))
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, panel in enumerate(panels):
        x = MARGIN + number % across * (width + MARGIN)
        y = MARGIN + number // across * (height + MARGIN)
        _write(draw, (x, y), panel.title, INK, 21, width)
        _write(draw, (x, y + 29), panel.caption, SOFT, 14, width)
        if not len(panel.images):  # it may be an array
            _write(draw, (x, y + HEAD_PIXELS), "No images to show.", SOFT, 14, width)
        for i, (image, label) in enumerate(zip(panel.images, panel.labels, strict=True)):
            left = x + i % columns * (cell + GAP)
            above = y + HEAD_PIXELS + i // columns * (cell + LABEL_PIXELS + GAP)
            marked = i < panel.flagged
            _paste(sheet, draw, _fitted(image, cell), left, above, cell, marked)
            _write(draw, (left + cell // 2, above + cell + 3), label, ODD if marked else SOFT, 12, cell + GAP - 2, "ma")
    return sheet


def _cell(panels: Sequence[Panel], across: int) -> int:
    """The side of the square that each image gets: what the width allows, less what whole pixels leave over."""
    cell = min(LARGEST_PICTURE, max(SMALLEST_PICTURE, (SHEET_WIDTH - MARGIN) // across - GAP))
    longest = max((max(image.shape[:2]) for panel in panels for image in panel.images), default=cell)
    return cell // longest * longest or cell


def _fitted(image: NDArray[np.uint8], side: int) -> Image.Image:
    """An image in a square of ``side`` pixels, its shape kept; a small one grows by whole pixels and stays crisp."""
    picture = as_picture(image)
    longer = max(picture.size)
    if longer <= side:
        return picture.resize((picture.width * (side // longer), picture.height * (side // longer)),
                              Image.Resampling.NEAREST)
    size = (max(1, round(picture.width * side / longer)), max(1, round(picture.height * side / longer)))
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)


def _paste(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, picture: Image.Image, x: int, y: int, cell: int, flagged: bool
) -> None:
    """Put a picture in the middle of its cell, with a hairline around it so that a white one has an edge."""
    left, top = x + (cell - picture.width) // 2, y + (cell - picture.height) // 2
    wide = FRAME_PIXELS if flagged else 1
    draw.rectangle((left - wide, top - wide, left + picture.width + wide - 1, top + picture.height + wide - 1),
                   outline=ODD if flagged else FRAME, width=wide)
    sheet.paste(picture, (left, top))


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, colour: str, size: int, room: int, anchor: str = "la"
) -> None:
    """One line of text that keeps to its room: set up to a quarter smaller if it must be, then cut."""
    text = " ".join(text.split())[:room]  # no letter is narrower than a pixel
    for smaller in range(size, size * 3 // 4 - 1, -1):
        font = ImageFont.load_default(smaller)
        if font.getlength(text) <= room:
            break
    else:
        while text and font.getlength(text + "...") > room:
            text = text[:-1]
        text = text.rstrip() + "..."
    draw.text(place, text, colour, font, anchor=anchor)
