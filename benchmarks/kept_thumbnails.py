"""How small the thumbnails that a run keeps could be, and what that would change.

    python benchmarks/kept_thumbnails.py RUN

Near duplicates among new images are found by them. Told are bytes a thumbnail, microseconds to pack one, and of
packing with loss the share of a thumbnail's variance that it changes, beside the share by which the run's near
duplicates differ.
"""

from __future__ import annotations

import io
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from oddlens.explaining.reference_images import Memory
from oddlens.mapped_arrays import mapped_arrays

SAMPLE = 1000  # thumbnails


def as_picture(kind: str, **options: object) -> Callable[[np.ndarray], bytes]:
    """Packs a thumbnail as a picture of a kind."""

    def pack(thumbnail: np.ndarray) -> bytes:
        content = io.BytesIO()
        Image.fromarray(thumbnail).save(content, kind, **options)
        return content.getvalue()

    return pack


def main() -> None:
    path = Path(sys.argv[1]) / "reasons.safetensors"
    thumbs = mapped_arrays(path)[0]["causes.thumbs"]
    side = round(thumbs.shape[1] ** 0.5)
    rows = np.sort(np.random.default_rng(0).choice(len(thumbs), min(SAMPLE, len(thumbs)), replace=False))
    sample = thumbs[rows].reshape(-1, side, side)
    for name, pack in {"as it is": np.ndarray.tobytes, "zlib": lambda each: zlib.compress(each.tobytes()),
                       "PNG": as_picture("PNG"), "WebP without loss": as_picture("WEBP", lossless=True),
                       "JPEG 80": as_picture("JPEG", quality=80), "WebP 80": as_picture("WEBP", quality=80),
                       "WebP 50": as_picture("WEBP", quality=50)}.items():
        used = time.process_time()
        packed = [pack(each) for each in sample]
        used = time.process_time() - used
        told = f"{name}: {np.mean([len(each) for each in packed]):.0f} bytes, {used / len(sample) * 1e6:.0f} us"
        if name[-1].isdigit():
            again = [np.asarray(Image.open(io.BytesIO(each)).convert("L"), float) for each in packed]
            changed = [((one - other) ** 2).sum() / max(((one - one.mean()) ** 2).sum(), 1)
                       for one, other in zip(sample.astype(float), again, strict=True)]
            told += f"; changes {np.median(changed):.1%} of the variance in the median"
        print(told)
    causes = Memory.load(path, None, len(thumbs)).causes
    near = causes.columns_["near_duplicate_residual"][causes.masks()["near"]]
    print(f"{len(near):,} near duplicates differ by {np.median(near):.1%} in the median")


if __name__ == "__main__":
    main()
