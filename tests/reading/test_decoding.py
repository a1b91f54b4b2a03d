import io
import struct

import numpy as np
import pytest
from PIL import Image

import messy
from oddlens.errors import UnreadableImage
from oddlens.pixels import PixelFormat, fit_to, read_near, read_pixels
from oddlens.reading import decoding
from oddlens.reading.decoding import as_picture, decode
from oddlens.sources import ArraySource, open_source

RED, GREEN, BLUE, GREY = messy.quarters(messy.QUARTERS)
WHITE = [255, 255, 255]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return messy.make(tmp_path_factory.mktemp("messy") / "photos")


def read(folder, name):
    return decode(folder / name, name)[0]


def near(image, expected, tolerance=6):
    assert np.abs(np.array(messy.quarters(image)) - np.array(expected)).max() <= tolerance


@pytest.mark.parametrize(("name", "tolerance"), [
    ("deep/er/rgb.png", 0), ("webp.webp", 0), ("bmp.bmp", 0), ("tiff.tif", 0), ("wrong-suffix.txt", 0),
    ("no-suffix", 0), ("plain.jpg", 6), ("turned.jpg", 6), ("palette.png", 4), ("moving.gif", 4),
    ("moving.webp", 0), ("cmyk.jpg", 12), ("two\nlines.png", 0), ("turned.tif", 0), ("camera.mpo", 6),
    ("lab.tif", 8), ("linked.png", 0), ("UPPER.JPEG", 6),
])
def test_every_colour_format_shows_the_same_picture_upright(folder, name, tolerance):
    image = read(folder, name)
    assert image.shape == (32, 48, 3)
    assert image.dtype == np.uint8
    near(image, [RED, GREEN, BLUE, GREY], tolerance)


@pytest.mark.parametrize("name", ["grey.png", "16-bit.png", "16-bit-big-endian.tif", "float.tif"])
def test_grey_formats_of_any_depth_show_the_same_grey(folder, name):
    image = read(folder, name)
    assert image.shape == (32, 48, 1)
    expected = np.asarray(Image.fromarray(messy.QUARTERS).convert("L"))[..., None]
    assert np.abs(image.astype(int) - expected).max() <= 1


def test_one_bit_is_black_and_white(folder):
    assert set(np.unique(read(folder, "one-bit.png"))) == {0, 255}


def test_transparency_is_white_paper(folder):
    near(read(folder, "alpha.png"), [WHITE, GREEN, BLUE, GREY], 0)
    near(read(folder, "palette-alpha.png"), [WHITE, GREEN, BLUE, GREY], 4)
    image = read(folder, "grey-alpha.png")
    assert image.shape == (32, 48, 1)
    assert image[8, 12, 0] == 255


@pytest.mark.parametrize(("name", "reason"), [
    ("bad-half.jpg", "ends early"), ("bad-half.png", "ends early|damaged"), ("bad-empty.png", "the file is empty"),
    ("bad-text.png", "text, not an image"), ("bad-bytes.gif", "not an image"), ("bad-bomb.png", "megapixels"),
])
def test_what_cannot_be_read_says_why(folder, name, reason):
    with pytest.raises(UnreadableImage, match=reason):
        read(folder, name)


def test_a_jpeg_is_decoded_no_larger_than_needed_and_looks_the_same(tmp_path):
    rng = np.random.default_rng(0)
    blobs = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    blobs.resize((1600, 1200), Image.Resampling.BICUBIC).save(tmp_path / "large.jpg", quality=92)
    blobs.resize((1600, 1200), Image.Resampling.BICUBIC).convert("RGBA").save(tmp_path / "large.png")
    whole, shape = decode(tmp_path / "large.jpg", "x")
    small, also = decode(tmp_path / "large.jpg", "x", side=64)
    assert whole.shape == (1200, 1600, 3)
    assert small.shape == (150, 200, 3)
    assert shape == also == (1200, 1600)
    blobs.resize((1600, 1200)).save(tmp_path / "camera.mpo", save_all=True, append_images=[blobs])
    assert decode(tmp_path / "camera.mpo", "x", side=64)[0].shape == (150, 200, 3), "by libjpeg, as any JPEG"
    averaged, also = decode(tmp_path / "large.png", "x", side=64)
    assert averaged.shape[0] in range(128, 200)
    assert also == (1200, 1600)
    form = PixelFormat(64, 64, 3)
    for other in (small, averaged):
        assert np.abs(fit_to(whole, form).astype(int) - fit_to(other, form)).mean() < 2


def exif(value):
    """A JPEG whose metadata give its orientation as ``value``, or hold ``value`` where they are bytes."""
    if isinstance(value, bytes):
        return b"Exif\0\0" + value
    block = Image.Exif()
    block[0x0112] = value
    return block.tobytes()


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_each_of_the_eight_orientations_comes_upright(turn, kind):
    undo = {6: 8, 8: 6}.get(turn, turn)  # all others undo themselves
    upright = Image.fromarray(messy.QUARTERS)
    back = decoding.UPRIGHT.get(undo)
    stored = upright if back is None else upright.transpose(back)
    content = messy.encoded(stored, kind, exif=exif(turn), **({"lossless": True} if kind == "WEBP" else {}))
    image, shape = decode(content, "x")
    assert np.array_equal(image, messy.QUARTERS)
    assert shape == (32, 48)


@pytest.mark.parametrize("value", [
    0, 9, 99, b"garbage", b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHI4s", 0x0112, 2, 4, b"six") + bytes(4)])
def test_nonsense_in_the_metadata_costs_no_image(value):
    image, _ = decode(messy.encoded(Image.fromarray(messy.QUARTERS), "JPEG", quality=95, exif=exif(value)), "x")
    near(image, [RED, GREEN, BLUE, GREY])


@pytest.mark.parametrize(("values", "expected"), [
    ([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 100.0, 255.0], [0, 100, 255]), ([0.0, 25700.0, 65535.0], [0, 100, 255]),
    ([-1.0, 0.0, 1.0], [0, 128, 255]), ([0.5, 0.5, 0.5], [128, 128, 128]),
])
def test_numbers_without_a_stated_range(values, expected):
    stored = Image.fromarray(np.array([values], np.float32))
    assert decode(messy.encoded(stored, "TIFF"), "x")[0].ravel().tolist() == expected


def test_whole_numbers_of_32_bits_are_never_taken_for_shares_of_white():
    stored = Image.fromarray(np.array([[0, 1, 1]], np.int32))
    assert decode(messy.encoded(stored, "TIFF"), "x")[0].ravel().tolist() == [0, 1, 1]


def test_numbers_that_are_none_are_unreadable():
    stored = Image.fromarray(np.array([[0, np.nan]], np.float32))
    with pytest.raises(UnreadableImage, match="not finite"):
        decode(messy.encoded(stored, "TIFF"), "x")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("side", [None, 16])
def test_half_a_file_is_never_read_as_a_whole_one(kind, side):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    content = messy.encoded(Image.fromarray(noise), kind)
    assert decode(content, "x", side)[1] == (200, 300)
    with pytest.raises(UnreadableImage, match=r"ends early|damaged"):
        decode(content[: len(content) // 2], "x", side)


@pytest.mark.parametrize(("content", "reason"), [
    ("<html>größe – «not found»</html>".encode(), "text, not an image"),
    (("é" * 300).encode(), "text, not an image"),  # cut in the middle of a character
    (b"\x80\x00\x81" * 50, "not an image in a format"),
    (b"\0\0\0\x1cftypavif" + bytes(100), "begins as an image does"),
])
def test_what_is_no_image_is_told_in_words(content, reason):
    with pytest.raises(UnreadableImage, match=reason):
        decode(content, "x")


def test_a_decoder_may_fail_in_any_way(monkeypatch):
    for error in (AssertionError("of memory"), SystemError("of memory"), KeyError("of memory"), MemoryError()):
        def fail(*_, error=error, **options):
            raise error

        monkeypatch.setattr(decoding.Image, "open", fail)
        with pytest.raises(UnreadableImage, match="memory"):
            decode(b"x", "x")


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "PA", "CMYK"])
def test_reducing_by_bands_is_reducing_at_once(mode, monkeypatch):
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (157, 203, 4), dtype=np.uint8), "RGBA")
    picture = colours.convert("RGB").convert(mode) if mode in ("P", "CMYK") else colours.convert(mode)
    once = np.asarray(decoding._reduced(picture, 16))
    assert once.shape[:2] == (40, 51)
    if mode not in ("P", "PA"):
        assert np.array_equal(once, np.asarray(picture.reduce(4)))
    monkeypatch.setattr(decoding, "BAND_PIXELS", 1000)
    assert np.array_equal(np.asarray(decoding._reduced(picture, 16)), once)


def test_hidden_colours_do_not_bleed_when_transparent_images_are_reduced():
    image = np.zeros((200, 200, 4), np.uint8)  # transparent, black underneath
    image[::2] = (200, 30, 30, 255)
    seen, _ = decode(messy.encoded(Image.fromarray(image, "RGBA"), "PNG"), "x", 16)
    assert np.abs(seen[8, 8].astype(int) - [228, 142, 142]).max() <= 2, "half red, half white paper"


@pytest.mark.parametrize("huge", [True, False])
def test_huge_images_alone_are_decoded_one_at_a_time(monkeypatch, tmp_path, huge):
    if huge:
        monkeypatch.setattr(decoding, "ALONE_PIXELS", 100)
    Image.fromarray(messy.QUARTERS).save(tmp_path / "0.png")
    held, real = [], decoding._as_array

    def watched(picture):
        held.append(decoding.large_image.locked())
        return real(picture)

    monkeypatch.setattr(decoding, "_as_array", watched)
    assert len(read_pixels(open_source(tmp_path), PixelFormat(8, 8, 3), jobs=1).names) == 1
    assert held == [huge]


def test_warnings_of_the_decoder_do_not_leak_and_filters_are_restored(tmp_path, monkeypatch):
    import warnings

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow warns above this
    Image.new("L", (40, 40)).save(tmp_path / "large.png")
    before = list(warnings.filters)
    assert decode(tmp_path / "large.png", "x")[0].shape == (40, 40, 1)
    assert warnings.filters == before


def test_bytes_decode_as_files_do(folder):
    file = io.BytesIO()
    as_picture(messy.QUARTERS).save(file, "PNG")
    assert np.array_equal(decode(file.getvalue(), "x")[0], messy.QUARTERS)
    assert read_near(ArraySource(messy.QUARTERS[None]), 0, 8)[0].shape == (32, 48, 3)
