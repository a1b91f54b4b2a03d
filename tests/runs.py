"""Runs to be reviewed: small, made once, copied for each test."""

import io
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from oddlens.model import AnomalyModel
from oddlens.run import rank_into

HOSTILE = '<img src=x onerror=alert(1)>.png'


def make(folder: Path) -> Path:
    """A run of 60 coloured pictures in a folder: bright dots, five of them blue squares, copies, one hostile name."""
    rng = np.random.default_rng(0)
    photos = folder / "photos"
    (photos / "more").mkdir(parents=True)
    for i in range(60):
        image = rng.integers(0, 40, (48, 64, 3), dtype=np.uint8)
        row, column = rng.integers(12, 30, 2)
        if i % 12 == 5:
            image[row : row + 14, column : column + 20] = (30, 60, 250)
        else:
            image[row : row + 8, column : column + 8] += 180
        name = HOSTILE if i == 5 else f"more/{i:02}.png" if i % 2 else f"{i:02}.png"
        Image.fromarray(image).save(photos / name)
    shutil.copy(photos / "02.png", photos / "02 copy.png")
    shutil.copy(photos / "02.png", photos / "more" / "again 02.png")
    model = AnomalyModel(encoder="pixels", detector=["neighbors", "forest"])
    rank_into(photos, folder / "run", model)
    return folder


ODD = {HOSTILE, "more/17.png", "more/29.png", "more/41.png", "more/53.png"}


def new_photos(photos: Path) -> dict[str, bytes]:
    """New images of that kind by their names: two that are ordinary, and one with a white bar in its middle."""
    found = {}
    for name, source in (("plain.png", "04.png"), ("usual.jpg", "06.png"), ("strange.png", "08.png")):
        image = np.asarray(Image.open(photos / source)).copy()
        image[2, 2] += 3
        if name == "strange.png":
            image[14:34, 12:52] = (255, 255, 255)
        content = io.BytesIO()
        Image.fromarray(image).save(content, "JPEG" if name.endswith("jpg") else "PNG")
        found[name] = content.getvalue()
    return found
