"""What is fuzzed: for each kind of input some sound ones, and the reader that has to take or refuse them.

A reader passes with an ``OddlensError`` or a sound result; anything else that it raises is a finding.
"""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow
from PIL import Image
from pyarrow import feather, parquet

from oddlens import AnomalyModel, load_model, run_folder
from oddlens.detectors.forest import Forest
from oddlens.encoders.pixels import Pixels
from oddlens.errors import OddlensError, OutputError
from oddlens.explaining.reference_images import Memory
from oddlens.pixels import look, read_pixels
from oddlens.protocols import ImageSource
from oddlens.reading.decoding import decode
from oddlens.reading.limits import Limits
from oddlens.run import rank_into
from oddlens.sources import ArraySource, open_source
from oddlens.sources.archive import open_tar, open_zip
from oddlens.sources.table_files import open_binary_table
from torture.mutations import zipped

MOST_READ = 200  # images of an array that are read
SMALL = Limits(memory=2**24)


@dataclass(frozen=True)
class Target:
    """A kind of input.

    name:   of the kind.
    seeds:  sound inputs; they must be taken.
    read:   takes an input as a file at a path; raises ``OddlensError`` to refuse it.
    """

    name: str
    seeds: list[bytes]
    read: Callable[[Path], None]

    def passes(self, path: Path) -> bool:
        """Whether the input was taken, not refused; whatever else is raised is a finding."""
        try:
            self.read(path)
        except OddlensError as error:
            _require(bool(str(error)), f"{type(error).__name__} without a message")
            return False
        return True


def targets(workplace: Path) -> dict[str, Target]:
    """All kinds of input by name; what their readers need is kept in an empty folder."""
    images = _dots(24)
    model = AnomalyModel(Pixels(side=4), ["neighbors", "burnout", "self_training", Forest(4), "subspace"], n_jobs=1)
    run = workplace / "run"
    rank_into(images, run, model, top=1)
    packed = zipped(sorted((path.name, path.read_bytes()) for path in (run / run_folder.MODEL).iterdir()))
    summary, memory = (run / run_folder.SUMMARY).read_bytes(), (run / run_folder.REASONS).read_bytes()

    def read_model(path: Path) -> None:
        folder = workplace / "unpacked"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        try:
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    (folder / Path(name).name).write_bytes(archive.read(name))
        except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError, ValueError):
            (folder / "model.json").write_bytes(path.read_bytes())
        loaded = load_model(folder)
        for ranking in (loaded.rank(), loaded.rank(images[:2])):
            _require(np.isfinite(ranking.scores).all(), "scores that are not finite")
            _require(((ranking.p_values >= 0) & (ranking.p_values <= 1)).all(), "p-values beyond 0..1")

    def read_run(path: Path) -> None:
        (run / run_folder.SUMMARY).write_bytes(path.read_bytes())
        run_folder.model_of(run)
        with suppress(OutputError), run_folder.claimed(run, ArraySource(images)):
            raise OutputError("The folder was claimed.")  # and is given back as it was

    def read_reasons(path: Path) -> None:
        read = Memory.load(path, (8, 8, 1), 24)
        read.picture(int(read.rows[0]))
        columns = read.causes.measure(images[:2, ..., None])
        for row in range(2):
            read.causes.named_new(columns, row)

    return {target.name: target for target in (
        Target("pixels", picture_files(), read_image), Target("idx", idx_files(), read_array),
        Target("npy", npy_files(), read_array), Target("npz", npz_files(), read_packed),
        Target("list", [b"a.png\nb.png\n# c\n", b"\xef\xbb\xbf/etc/hostname\n"], read_array),
        Target("run", [summary], read_run), Target("model", [packed], read_model),
        Target("reasons", [memory], read_reasons), Target("archive", archive_files(), read_archive),
        Target("table", table_files(), read_table))}


def read_image(path: Path) -> None:
    """One image file, as a folder's would be read."""
    for side in (None, 8):
        image, (height, width) = decode(path, "one", side)
        _require(image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] in (1, 3), f"pixels {image.shape}")
        _require(min(height, width, *image.shape[:2]) >= 1, f"a size of {height} x {width}")


def read_array(path: Path) -> None:
    """A file that holds many images."""
    source = open_source(path)
    _require(len(source) > 0, "a source without images")
    if not isinstance(source, ArraySource) or len(source) > MOST_READ or source.array[0].size > 1 << 20:
        return
    read = read_pixels(source, look(source))
    _require(len(read.names) + len(read.unreadable) == len(source), "images that vanished")


def read_packed(path: Path) -> None:
    """An archive of arrays, which is known by its name: any other zip is to be unpacked first."""
    named = path.with_suffix(".npz")
    named.write_bytes(path.read_bytes())
    read_array(named)


def read_archive(path: Path) -> None:
    """A zip or a tar, by its name where it does not begin as one."""
    suffix = ".zip" if path.read_bytes()[:2] == b"PK" else ".tar.gz"
    named = path.with_suffix(suffix)
    named.write_bytes(path.read_bytes())
    read_held(open_zip(named, limits=SMALL) if suffix == ".zip" else open_tar(named, limits=SMALL))


def read_table(path: Path) -> None:
    """A Parquet or an Arrow file."""
    read_held(open_binary_table(path, limits=SMALL))


def read_held(source: ImageSource) -> None:
    """What lies in a file, each image or its reason."""
    _require(len(source) > 0, "a source without images")
    if len(source) <= MOST_READ:
        read = read_pixels(source, look(source))
        _require(len(read.names) + len(read.unreadable) == len(source), "images that vanished")


def archive_files() -> list[bytes]:
    """Zips and tars of three images and a text, packed and not."""
    stream = io.BytesIO()
    Image.fromarray(_dots(1)[0]).save(stream, "PNG")
    members = [(f"a/{name}.png", stream.getvalue()) for name in "xyz"] + [("notes.md", b"hello")]
    found = [zipped(members)]
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    found.append(plain.getvalue())
    for mode in ("w", "w:gz", "w:bz2"):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode=mode) as tar:
            for name, content in members:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        found.append(packed.getvalue())
    return found


def table_files() -> list[bytes]:
    """Parquet and Arrow files of image files' contents, with paths and without."""
    stream = io.BytesIO()
    Image.fromarray(_dots(1)[0]).save(stream, "PNG")
    content, found = stream.getvalue(), []
    for cells in ([content] * 3, [{"bytes": content, "path": f"{name}.png"} for name in "xyz"]):
        table = pyarrow.table({"image": cells, "label": [0, 1, 2]})
        for write in (parquet.write_table, feather.write_feather):
            file = io.BytesIO()
            write(table, file)
            found.append(file.getvalue())
    return found


def picture_files() -> list[bytes]:
    """Small images in every format that is read, and in many modes."""
    rng = np.random.default_rng(0)
    rgb = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    grey, clear = rgb.convert("L"), rgb.convert("RGBA")
    turned = Image.Exif()
    turned[0x0112] = 6
    deep = Image.fromarray(rng.integers(0, 65536, (9, 12)).astype(np.uint16))
    wanted: list[tuple[Image.Image, str, dict[str, object]]] = [
        (rgb, "PNG", {}), (clear, "PNG", {}), (deep, "PNG", {}), (rgb.quantize(8), "PNG", {"transparency": 1}),
        (grey.convert("1"), "PNG", {}), (rgb, "PNG", {"save_all": True, "append_images": [rgb]}),
        (rgb, "JPEG", {}), (grey, "JPEG", {"progressive": True}), (rgb.convert("CMYK"), "JPEG", {}),
        (rgb, "JPEG", {"exif": turned}), (rgb, "MPO", {"save_all": True, "append_images": [rgb]}),
        (rgb, "GIF", {"save_all": True, "append_images": [grey]}), (rgb, "BMP", {}), (grey, "BMP", {}),
        (rgb, "DIB", {}), (rgb, "TIFF", {}), (rgb, "TIFF", {"compression": "tiff_lzw"}),
        (rgb, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (grey.convert("F"), "TIFF", {}), (deep, "TIFF", {}), (grey.convert("1"), "TIFF", {"compression": "group4"}),
        (rgb, "WEBP", {"lossless": True}), (clear, "WEBP", {}), (rgb, "AVIF", {}), (rgb, "JPEG2000", {}),
        (rgb, "PPM", {}), (grey, "PPM", {}), (rgb, "TGA", {}), (clear, "ICO", {"sizes": [(9, 9)]}),
    ]
    found = []
    for image, kind, options in wanted:
        file = io.BytesIO()
        try:
            image.save(file, kind, **options)
        except (KeyError, OSError):  # a Pillow that was built without it
            continue
        found.append(file.getvalue())
    return found


def idx_files() -> list[bytes]:
    """IDX of each type of number, plain and packed."""
    types = {0x08: "u1", 0x0D: ">f4", 0x0E: ">f8"}
    plain = [bytes([0, 0, code, 3]) + struct.pack(">III", 3, 4, 5)
             + np.full(60, 0.5 if "f" in kind else 9, kind).tobytes() for code, kind in types.items()]
    return [*plain, gzip.compress(plain[0], mtime=0)]


def npy_files() -> list[bytes]:
    """Arrays of each type and order."""
    rng, found = np.random.default_rng(0), []
    for array in (rng.integers(0, 9, (3, 4, 5), dtype=np.uint8), rng.random((3, 4, 4, 3)), rng.random((2, 3, 3)) > 0.5,
                  np.asfortranarray(rng.integers(0, 999, (4, 3, 2)).astype(np.uint16))):
        file = io.BytesIO()
        np.save(file, array)
        found.append(file.getvalue())
    return found


def npz_files() -> list[bytes]:
    """Archives of one and of two arrays, packed and not."""
    found = []
    for save, arrays in ((np.savez, {"images": _dots(3)}), (np.savez_compressed, {"x": _dots(3), "y": np.arange(3)})):
        file = io.BytesIO()
        save(file, **arrays)
        found.append(file.getvalue())
    return found


def _dots(n: int) -> np.ndarray:
    images = np.random.default_rng(0).integers(0, 60, (n, 8, 8), dtype=np.uint8)
    images[:, 3:5, 3:5] += 150
    return images


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(f"taken, with {what}")
