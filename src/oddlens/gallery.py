"""Contact sheets: the strangest images of each detector side by side in one picture, as in the paper's figure."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from oddlens.files import write_atomically
from oddlens.pixels import thumbnail

CELL = 72  # pixels that an image gets, on a side
GAP = 8
LABEL = 16  # height of the text under an image
MARGIN = 28
INK, SOFT, PAPER, FRAME = "#1b1f24", "#59636e", "#ffffff", "#d1d9e0"


@dataclass(frozen=True)
class Panel:
    """One block of a contact sheet: a title, a line under it, and images with a short label each."""

    title: str
    caption: str
    images: Sequence[NDArray[np.uint8]]  # each (height, width, 1 or 3)
    labels: Sequence[str]


def write_gallery(path: str | Path, panels: Sequence[Panel], columns: int = 4) -> None:
    """Write panels side by side as a PNG, ``columns`` images across in each."""
    rows = max([-(-len(panel.images) // columns) for panel in panels], default=1) or 1
    width = columns * (CELL + GAP) - GAP
    top = MARGIN + 56
    height = top + rows * (CELL + LABEL + GAP) + MARGIN - GAP
    # Panels stand in a single row up to four; more than that start a second one.
    across = min(len(panels), 4) or 1
    down = -(-len(panels) // across) or 1
    sheet = Image.new("RGB", (MARGIN + across * (width + MARGIN), down * height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, panel in enumerate(panels):
        x = MARGIN + number % across * (width + MARGIN)
        y = number // across * height
        draw.text((x, y + MARGIN), panel.title, INK, ImageFont.load_default(19))
        draw.text((x, y + MARGIN + 27), panel.caption, SOFT, ImageFont.load_default(12.5))
        for i, (image, label) in enumerate(zip(panel.images, panel.labels, strict=True)):
            left = x + i % columns * (CELL + GAP)
            above = y + top + i // columns * (CELL + LABEL + GAP)
            _paste(sheet, thumbnail(image, CELL), left, above)
            draw.rectangle((left - 1, above - 1, left + CELL, above + CELL), outline=FRAME)
            draw.text((left + CELL / 2, above + CELL + 3), label, SOFT, ImageFont.load_default(11), anchor="ma")
    content = io.BytesIO()
    sheet.save(content, "PNG", optimize=True)
    write_atomically(path, content.getvalue())


def _paste(sheet: Image.Image, picture: Image.Image, left: int, top: int) -> None:
    sheet.paste(picture, (left + (CELL - picture.width) // 2, top + (CELL - picture.height) // 2))
