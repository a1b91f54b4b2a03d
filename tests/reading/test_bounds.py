"""Files that would take more memory or time than they may, told by their headers before any pixel is allocated."""

import io
import struct
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

import messy
from oddlens.errors import OptionError, UnreadableImage
from oddlens.reading import bounds, decoding
from oddlens.reading.decoding import decode
from oddlens.reading.limits import MOST_PIXELS, Limits

decoding._formats()  # loads the plugins, which takes memory that no image is to be blamed for


def png(width, height, rows=None, colour=0, ended=True, interlaced=0):
    """A grey (colour 0) or RGB (2) PNG that states a size and holds data of ``rows`` rows, properly ended."""
    line = bytes(1 + width * (3 if colour == 2 else 1))
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(line) for _ in range(height if rows is None else rows))
    packed += packer.flush() if ended else packer.flush(zlib.Z_SYNC_FLUSH)
    content = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, interlaced)
    for kind, data in ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return content


def ico(inner, side=64):
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, side, side, 0, 0, 1, 32, len(inner), 22) + inner


def icns(inner, kind=b"ic07"):
    block = kind + struct.pack(">I", 8 + len(inner)) + inner
    return b"icns" + struct.pack(">I", 8 + len(block)) + block


def refused(content, reason, **options):
    """Refused for a reason, and before memory is taken: Python's own and Pillow's, which is asked for by ``load``."""
    loads = []
    real = Image.Image.load

    def load(self):
        loads.append(self.size)
        return real(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image.Image, "load", load)
        tracemalloc.start()
        try:
            with pytest.raises(UnreadableImage, match=reason):
                decode(content, "x", **options)
            assert tracemalloc.get_traced_memory()[1] < 2**20 + 4 * len(content)
        finally:
            tracemalloc.stop()
    assert not [size for size in loads if size[0] * size[1] > 1_000_000]


@pytest.mark.parametrize("side", [None, 64])
def test_an_image_with_a_side_that_no_camera_has_is_refused(side):
    refused(png(1, 70_000), "65,535 a side", side=side)
    refused(png(70_000, 1), "65,535 a side", side=side)


@pytest.mark.parametrize("wrap", [ico, icns])
@pytest.mark.parametrize(("size", "reason"), [
    ((1, 177_000_000), "a side"), ((13_400, 13_400), "megapixels"), ((12_000, 12_000), "of memory; the limit"),
])
def test_what_is_within_an_icon_is_looked_at_too(wrap, size, reason):
    refused(wrap(png(*size, rows=1)), reason)


def test_a_bitmap_within_an_icon_is_looked_at_too():
    header = struct.pack("<IiiHHIIiiII", 40, 13_000, 26_000, 1, 32, 0, 0, 0, 0, 0, 0)
    refused(ico(header), "megapixels|of memory")


def test_a_header_of_an_icon_hidden_behind_another_chunk_is_found():
    inner = png(1, 100_000, rows=1)
    chunk = b"tEXta\0b"
    hidden = inner[:8] + struct.pack(">I", 3) + chunk + struct.pack(">I", zlib.crc32(chunk)) + inner[8:]
    refused(ico(hidden), "a side")


def tiff(width, height, bits, kind, photometric=1, tile=None):
    tags = {256: width, 257: height, 258: bits, 259: 8, 262: photometric, 277: 1, 339: kind}
    tags |= {273: 8, 278: height, 279: 100} if tile is None else {322: tile, 323: tile, 324: 8, 325: 100}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<I", 108) + bytes(100) + struct.pack("<H", len(tags)) + directory + bytes(4)


@pytest.mark.parametrize("content", [
    tiff(13_300, 13_300, 32, 3), tiff(13_300, 13_300, 32, 2), tiff(13_300, 13_300, 16, 1)])
def test_deep_images_are_counted_by_what_they_take(content):
    refused(content, "of memory; the limit is 1.0 GiB")
    refused(content, "of memory; the limit is 300 MiB", memory=300 * 2**20)


def test_a_tile_larger_than_its_image_is_counted():
    refused(tiff(100, 100, 8, 1, tile=40_000), "of memory; the limit")


def test_the_limit_of_memory_is_an_option():
    content = messy.encoded(Image.new("RGB", (2000, 1500)), "PNG")
    assert decode(content, "x")[0].shape == (1500, 2000, 3)
    refused(content, r"2000 x 1500 pixels would take \d+ MiB of memory; the limit is 20 MiB", memory=20 * 2**20)


def test_a_file_larger_than_the_limit_is_not_read(tmp_path):
    path = tmp_path / "x.webp"
    with path.open("wb") as file:
        file.write(b"RIFF\0\0\0\0WEBPVP8 ")
        file.truncate(2**31)  # takes no room on the disk
    with pytest.raises(UnreadableImage, match=r"the file has 2.0 GiB"):
        decode(path, "x")


@pytest.mark.parametrize("memory", [0, -1, 1.5, "1G", None])
def test_limits_that_cannot_work_are_refused(memory):
    with pytest.raises(OptionError):
        Limits(memory=memory)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "1"])
def test_times_that_cannot_work_are_refused(seconds):
    with pytest.raises(OptionError):
        Limits(seconds=seconds)


def test_a_small_file_that_claims_much_is_refused():
    refused(png(5_000, 20_000, rows=2, colour=2), "ends early")
    refused(png(60_000, 24, rows=2), "ends early")


@pytest.mark.parametrize("colour", [0, 2])
@pytest.mark.parametrize("rows", [0, 1, 29])
@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize("side", [None, 4])
def test_a_png_whose_data_end_properly_but_early_is_not_filled_up(colour, rows, interlaced, side):
    assert decode(png(40, 30, colour=colour), "x", side)[1] == (30, 40)
    with pytest.raises(UnreadableImage, match="ends early"):
        decode(png(40, 30, rows, colour, interlaced=interlaced), "x", side)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "I;16"])
def test_a_sound_png_of_every_mode_is_read_whatever_its_last_pixel_is(mode):
    image = Image.fromarray(np.tile(messy.QUARTERS, (3, 3, 1)))
    deep = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    image = deep if mode == "I;16" else image.convert(mode)
    usual = decode(messy.encoded(image, "PNG"), "x")[0]
    unusual = decoding._UNUSUAL.get(mode, 1)
    image.putpixel((image.width - 1, image.height - 1), unusual)
    last = decode(messy.encoded(image, "PNG"), "x")[0]
    assert usual.shape == last.shape
    assert np.array_equal(usual[:-1], last[:-1])


def jpeg(scans, progressive=True):
    """A JPEG with its last scan said again and again."""
    content = messy.encoded(Image.new("L", (64, 64), 90), "JPEG", progressive=progressive)
    start = content.rindex(b"\xff\xda")
    return content[:start] + content[start:-2] * scans + b"\xff\xd9"


def test_a_jpeg_of_very_many_scans_is_refused_and_of_some_is_read():
    assert decode(jpeg(20), "x")[1] == (64, 64)
    refused(jpeg(200), "more than 100 scans")
    refused(jpeg(20_000), "more than 100 scans")


def test_scans_are_counted_behind_long_metadata():
    content = jpeg(200)
    segment = b"\xff\xe1" + struct.pack(">H", 65_000) + bytes(64_998)
    refused(content[:2] + segment * 3 + content[2:], "more than 100 scans")


def test_a_picture_of_camera_with_a_film_behind_it_is_no_jpeg_of_many_scans():
    content = messy.encoded(Image.fromarray(messy.QUARTERS), "JPEG", progressive=True)
    assert decode(content + b"\xff\xda\0\x08" * 1000, "x")[1] == (32, 48)


def test_a_jpeg_that_cannot_hold_its_blocks_is_refused():
    content = bytearray(messy.encoded(Image.new("L", (64, 64), 90), "JPEG"))
    at = content.index(b"\xff\xc0") + 5
    content[at : at + 4] = struct.pack(">HH", 10_000, 16_000)
    refused(bytes(content), "ends early")


def test_the_memory_of_a_whole_decode_is_never_underestimated():
    """What numpy and Python take is traced; Pillow's own is known from the mode."""
    for mode in ("L", "RGB", "RGBA", "P", "CMYK", "I", "F"):
        colours = Image.new("RGB", (3000, 2000), (9, 99, 199))
        image = Image.new(mode, colours.size) if mode in "IF" else colours.convert(mode)
        content = messy.encoded(image, "TIFF" if mode in ("CMYK", "I", "F") else "PNG")
        with Image.open(io.BytesIO(content)) as picture:
            said = bounds.memory_needed(picture, picture.size, False, False)
        tracemalloc.start()
        decode(content, "x")
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert taken < said


FORKING = {"subprocess.Popen", "os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "os.system",
           "pty.spawn"}


@pytest.fixture(scope="module")
def started():
    """What this process starts, from now on."""
    seen = []
    sys.addaudithook(lambda event, arguments: seen.append(event) if event in FORKING else None)
    return seen


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 60 40\n%%EndComments\n{} loop\n%%EOF\n"
WMF = b"\xd7\xcd\xc6\x9a\0\0" + struct.pack("<hhhhHIH", 0, 0, 100, 100, 72, 0, 0) + b"\1\0\t\0" + bytes(60)
FITS = b"SIMPLE  =                    T".ljust(80) + b"BITPIX  =                    8".ljust(80) + bytes(2720)


@pytest.mark.parametrize("content", [EPS, b"\xc5\xd0\xd3\xc6" + bytes(28) + EPS, WMF, FITS, b"GRIB" + bytes(40),
                                     b"BUFR" + bytes(40), b"\x89HDF\r\n\x1a\n" + bytes(40), b"\x1c\x03\x0a\0\1x" * 9])
def test_what_is_no_raster_image_is_no_image_and_starts_nothing(content, started, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    (tmp_path / "photo.png").write_bytes(content)
    for data in (content, tmp_path / "photo.png"):
        before = len(started)
        with pytest.raises(UnreadableImage, match="not an image"):
            decode(data, "x")
        assert started[before:] == []


@pytest.mark.parametrize("kind", ["PNG", "GIF", "JPEG", "MPO", "JPEG2000", "BMP", "DIB", "ICO", "ICNS", "TIFF", "WEBP",
                                  "AVIF", "PPM", "TGA", "PCX", "SGI"])
def test_every_usual_format_is_read_and_starts_nothing(kind, started):
    picture = Image.fromarray(messy.QUARTERS).resize((64, 64), Image.Resampling.NEAREST)
    content = messy.encoded(picture, kind)
    before = len(started)
    image, shape = decode(content, "x")
    assert shape == ((1024, 1024) if kind == "ICNS" else (64, 64))
    assert np.abs(np.array(messy.quarters(image)) - messy.quarters(messy.QUARTERS)).max() <= 12
    assert started[before:] == []


def test_the_limit_of_pixels_is_that_of_pillow_or_below():
    assert 2 * (Image.MAX_IMAGE_PIXELS or MOST_PIXELS) >= MOST_PIXELS
