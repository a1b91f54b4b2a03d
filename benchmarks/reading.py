"""How fast images are read, and how much memory that takes.

    python benchmarks/reading.py jpeg [IMAGES]   1600 x 1200 JPEG to 64 x 64, one thread, beside Pillow alone
    python benchmarks/reading.py PATH [JOBS]     any images that ``open_source`` takes, read as a run reads them

Processor time is what to compare: it hardly feels other work on the machine, as wall-clock time does.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from oddlens.pixels import PixelFormat, fit_to, look, read_pixels
from oddlens.reading.decoding import decode
from oddlens.sources import open_source

SMALL = PixelFormat(64, 64, 3)


def photograph(seed: int, steepness: float) -> Image.Image:
    """1600 x 1200 pixels whose amplitude falls as frequency to the power of ``steepness``; photographs: 1 to 1.5."""
    rng = np.random.default_rng(seed)
    rows, columns = np.fft.fftfreq(1200)[:, None], np.fft.rfftfreq(1600)[None]
    fall = 1 / np.maximum(np.hypot(rows, columns), 1 / 1600) ** steepness
    layers = np.stack([np.fft.irfft2(np.fft.rfft2(rng.normal(size=(1200, 1600))) * fall) for _ in range(3)], -1)
    layers = 128 + 50 * (layers - layers.mean()) / layers.std()
    return Image.fromarray(layers.clip(0, 255).astype(np.uint8))


def ours(path: Path) -> None:
    image, _ = decode(path, path.name, 64)
    fit_to(image, SMALL)


def whole(path: Path) -> None:
    """What Pillow does unasked: decode all, then reduce."""
    with Image.open(path) as picture:
        np.asarray(picture.convert("RGB").resize((64, 64), Image.Resampling.BOX))


def limit(path: Path) -> None:
    """Decoding at an eighth by libjpeg and nothing else: no orientation, no resizing, no array."""
    with Image.open(path) as picture:
        picture.draft("RGB", (200, 150))
        picture.load()


def resized(path: Path) -> None:
    """The least that gives 64 x 64 pixels as an array: the same, and Pillow's own resizing; nothing is checked."""
    with Image.open(path) as picture:
        picture.draft("RGB", (200, 150))
        np.asarray(picture.resize((64, 64), Image.Resampling.BOX))


def jpeg(steepness: float, images: int, repeats: int = 9) -> None:
    """Medians over alternating repeats. Steeper images make smaller files, where what we add weighs more."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{seed}.jpg" for seed in range(images)]
        for seed, path in enumerate(paths):
            photograph(seed, steepness).save(path, quality=90)
        ways = {"ours": ours, "Pillow, whole": whole, "Pillow, an eighth, decoding only": limit,
                "Pillow, an eighth, and resized": resized}
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(repeats):
            for name, way in ways.items():
                start = time.process_time()
                for path in paths:
                    way(path)
                times[name].append((time.process_time() - start) / images)
        kilobytes = sum(path.stat().st_size for path in paths) / images / 1000
        print(f"{images} JPEG of {kilobytes:.0f} kB, {repeats} repeats, milliseconds of processor time an image:")
        for name, values in times.items():
            print(f"  {name:34} median {statistics.median(values) * 1e3:6.2f}  "
                  f"least {min(values) * 1e3:6.2f}  most {max(values) * 1e3:6.2f}")
        share = [b / a for a, b in zip(times["ours"], times["Pillow, an eighth, decoding only"], strict=True)]
        least = [b / a for a, b in zip(times["ours"], times["Pillow, an eighth, and resized"], strict=True)]
        print(f"  of the least that gives the pixels: median {statistics.median(least):.1%}")
        print(f"  of libjpeg's limit: median {statistics.median(share):.1%}, {min(share):.1%} to {max(share):.1%}")


def collection(images: str, jobs: int | None) -> None:
    """Look and read, as a run does."""
    marks = [(time.perf_counter(), time.process_time())]
    source = open_source(images)
    marks.append((time.perf_counter(), time.process_time()))
    form = look(source)
    marks.append((time.perf_counter(), time.process_time()))
    read = read_pixels(source, form, jobs)
    marks.append((time.perf_counter(), time.process_time()))
    print(f"{len(source)} images: {len(read.names)} read, {len(read.unreadable)} not, "
          f"{getattr(source, 'skipped', 0)} other files passed over; {form}")
    for step, (before, after) in zip(("open", "look", "read"), pairwise(marks), strict=True):
        print(f"  {step}  {after[0] - before[0]:7.2f} s wall  {after[1] - before[1]:7.2f} s processor")
    print(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    for reason, count in Counter(reason for _, reason in read.unreadable).most_common():
        print(f"  {count} x {reason}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["jpeg"]:
        for steepness in (1.0, 1.25, 1.5):
            jpeg(steepness, int(sys.argv[2]) if len(sys.argv) > 2 else 20)
    elif len(sys.argv) in (2, 3):
        collection(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else None)
    else:
        sys.exit(__doc__)
