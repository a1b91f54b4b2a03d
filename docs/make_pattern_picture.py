"""Draw docs/images/pattern.png: what the pattern of the active nodes is, on two real digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from oddlens.demo import DIGITS
from oddlens.detectors.activations import Activations
from oddlens.encoders.autoencoder import Autoencoder
from oddlens.reading.array_files import read_idx
from oddlens.scoring.activity import unpack

PICTURE = Path(__file__).parent / "images" / "pattern.png"
CELL, WIDE = 15, 10
INK, SOFT, OFF, ON, MARK = "#1b1f24", "#59636e", "#dfe5ea", "#2f6f9f", "#b3261e"


def main() -> None:
    """Fit the paper's autoencoder to the digits and draw an ordinary digit above an odd one."""
    digits = read_idx(DIGITS)[..., None]
    encoder = Autoencoder().fit(digits)
    detector = Activations("hamming").fit(encoder.encode(digits, frozenset({"activations"})))
    bits = unpack(detector.rule_.bits_, len(detector.nodes_)).astype(bool)
    order = np.argsort(detector.score_own(), kind="stable")
    sheet = Image.new("RGB", (980, 470), "#ffffff")
    draw = ImageDraw.Draw(sheet)
    for x, words in ((20, "a digit"), (185, "its pattern: which of the\n50 nodes it switches on"),
                     (445, "the digit that its pattern\nis 50th nearest to"), (730, "where the two differ")):
        draw.text((x, 14), words, SOFT, ImageFont.load_default(15))
    for y, row, words in ((75, int(order[200]), "ordinary"), (275, int(order[-3]), "odd")):
        distances = (bits != bits[row]).sum(1)
        other = int(np.argsort(distances, kind="stable")[50])
        differ = bits[row] != bits[other]
        paste(sheet, digits[row], 20, y, 130)
        draw.text((20, y + 138), words, INK, ImageFont.load_default(17))
        pattern(draw, bits[row], 185, y)
        paste(sheet, digits[other], 445, y, 75)
        pattern(draw, bits[other], 535, y)
        pattern(draw, differ, 730, y, MARK)
        draw.text((730, y + 92), f"{differ.sum()} of 50 nodes", MARK, ImageFont.load_default(17))
    PICTURE.parent.mkdir(exist_ok=True)
    sheet.save(PICTURE, optimize=True)


def pattern(draw: ImageDraw.ImageDraw, bits: NDArray[np.bool_], left: int, top: int, colour: str = ON) -> None:
    """Nodes as squares, ten to a row; the active ones filled."""
    for i, on in enumerate(bits):
        x, y = left + i % WIDE * (CELL + 2), top + i // WIDE * (CELL + 2)
        draw.rectangle((x, y, x + CELL, y + CELL), fill=colour if on else OFF)


def paste(sheet: Image.Image, digit: NDArray[np.uint8], left: int, top: int, side: int) -> None:
    """A digit in squares."""
    sheet.paste(Image.fromarray(digit[..., 0]).resize((side, side), Image.Resampling.NEAREST), (left, top))


if __name__ == "__main__":
    main()
