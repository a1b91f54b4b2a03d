import io
import struct
import time

import numpy as np
import pytest
from PIL import Image

import messy
from oddlens import arrays
from oddlens.errors import OptionError, SourceError, TooFewImages, UnreadableImage
from oddlens.pixels import PixelFormat, fit_to, look, read_near, read_pixels, require_enough
from oddlens.progress import listening
from oddlens.reading import decoding
from oddlens.reading.decoding import as_picture, decode, is_grey
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


def test_a_run_over_the_messy_folder_reads_all_that_can_be_read(folder):
    source = open_source(folder)
    collection = read_pixels(source, PixelFormat(16, 24, 3))
    bad = {name for name, _ in collection.unreadable}
    assert bad == {source.name(i) for i in range(len(source)) if source.name(i).startswith("bad")}
    assert {"bad-link.png", "bad-pipe.png", "bad-circle.png"} <= bad
    assert len(collection.names) + len(bad) == len(source)
    assert collection.pixels.shape == (len(collection.names), 16, 24, 3)
    at = collection.names.index("turned.jpg")
    near(collection.pixels[at], [RED, GREEN, BLUE, GREY])
    assert collection.shapes[at].tolist() == [32, 48]
    assert collection.shapes[collection.names.index("turned.tif")].tolist() == [32, 48]
    assert [source.name(int(i)) for i in collection.indices] == list(collection.names)


def test_the_number_of_jobs_changes_nothing(folder):
    one, two = (read_pixels(open_source(folder), PixelFormat(20, 20, 3), jobs=jobs) for jobs in (1, 2))
    assert np.array_equal(one.pixels, two.pixels)
    assert (one.names, one.unreadable) == (two.names, two.unreadable)


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


def test_huge_images_are_decoded_one_at_a_time(monkeypatch, tmp_path):
    monkeypatch.setattr(decoding, "ALONE_PIXELS", 100)
    for i in range(6):
        Image.fromarray(messy.QUARTERS).save(tmp_path / f"{i}.png")
    inside, most = 0, 0
    real = decoding._as_array

    def count(picture):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.01)
        inside -= 1
        return real(picture)

    monkeypatch.setattr(decoding, "_as_array", count)
    assert len(read_pixels(open_source(tmp_path), PixelFormat(8, 8, 3), jobs=4).names) == 6
    assert most == 1


def test_warnings_of_the_decoder_do_not_leak_and_filters_are_restored(tmp_path, monkeypatch):
    import warnings

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow warns above this
    Image.new("L", (40, 40)).save(tmp_path / "large.png")
    before = list(warnings.filters)
    assert decode(tmp_path / "large.png", "x")[0].shape == (40, 40, 1)
    assert warnings.filters == before


def test_looking_finds_size_and_channels():
    grey = np.random.default_rng(0).integers(0, 256, (30, 28, 20), dtype=np.uint8)
    colour = np.random.default_rng(0).integers(0, 256, (30, 28, 20, 3), dtype=np.uint8)
    assert look(ArraySource(grey)) == PixelFormat(28, 20, 1)
    assert look(ArraySource(np.stack([grey] * 3, -1))) == PixelFormat(28, 20, 1), "grey in content"
    assert look(ArraySource(colour)) == PixelFormat(28, 20, 3)
    large = np.zeros((5, 300, 150), np.uint8)
    assert look(ArraySource(large)) == PixelFormat(64, 32, 1)
    assert look(ArraySource(large), image_size=40, channels=3, resize="pad") == PixelFormat(40, 40, 3, "pad")
    assert look(ArraySource(large), image_size=(10, 20)) == PixelFormat(10, 20, 1)


def test_one_colourful_image_among_grey_ones_does_not_make_a_colour_collection():
    images = np.zeros((40, 8, 8, 3), np.uint8)
    images[3, ..., 0] = 200
    assert look(ArraySource(images)).channels == 1
    images[:4, ..., 0] = 200
    assert look(ArraySource(images)).channels == 3


@pytest.mark.parametrize("options", [
    {"image_size": 0}, {"image_size": (8, 8, 8)}, {"image_size": 10**6}, {"image_size": 1.5}, {"channels": 4},
    {"resize": "stretch"},
])
def test_bad_formats_are_refused(options):
    with pytest.raises(OptionError):
        look(ArraySource(np.zeros((5, 8, 8), np.uint8)), **options)


def test_squash_keeps_all_pad_keeps_the_shape_crop_keeps_the_middle():
    image = np.zeros((20, 40, 1), np.uint8)
    image[:, :10], image[:, 10:30], image[:, 30:] = 50, 100, 200
    squashed = fit_to(image, PixelFormat(20, 20, 1))
    assert [int(v) for v in squashed[10, [2, 10, 17], 0]] == [50, 100, 200]
    cropped = fit_to(image, PixelFormat(20, 20, 1, "crop"))
    assert set(np.unique(cropped)) == {100}
    padded = fit_to(image, PixelFormat(20, 20, 1, "pad"))
    assert [int(v) for v in padded[10, [2, 10, 17], 0]] == [50, 100, 200]
    rim = int(np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]]).mean().round())
    assert padded[0, 0, 0] == padded[-1, -1, 0] == rim


def test_an_image_of_the_right_size_is_not_touched():
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    assert fit_to(image, PixelFormat(9, 7, 3)) is image
    assert is_grey(as_grey := fit_to(image, PixelFormat(9, 7, 1)))
    assert as_grey.shape == (9, 7, 1)
    assert not is_grey(image)


def test_many_pixels_go_to_a_file_that_disappears(monkeypatch, dots):
    expected = read_pixels(ArraySource(dots), PixelFormat(8, 8, 1)).pixels
    monkeypatch.setattr(arrays, "MOST_IN_MEMORY", 100)
    mapped = read_pixels(ArraySource(dots), PixelFormat(8, 8, 1)).pixels
    assert isinstance(mapped.base, np.memmap) or isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, expected)


class Own:
    """A source of a user's own that does what it likes."""

    def __init__(self, results, names=None):
        self.results = results
        self.names = names or [str(i) for i in range(len(results))]

    def __len__(self):
        return len(self.results)

    def name(self, index):
        return self.names[index]

    def read(self, index):
        if isinstance(self.results[index], BaseException):
            raise self.results[index]
        return self.results[index]


GOOD = np.zeros((8, 8, 1), np.uint8)


def test_whatever_a_source_does_wrong_costs_one_image():
    wrong = [RuntimeError("disk on fire"), MemoryError(), None, "text", GOOD[..., 0], GOOD.astype(float), GOOD[:0],
             np.zeros((8, 8, 2), np.uint8)]
    collection = read_pixels(Own([GOOD, *wrong, GOOD]), PixelFormat(8, 8, 1))
    assert collection.names == ("0", "9")
    reasons = dict(collection.unreadable)
    assert "disk on fire" in reasons["1"]
    assert "memory" in reasons["2"]
    assert "uint8 (height, width, 1 or 3)" in reasons["5"]
    assert len(reasons) == 8


def test_interrupting_works():
    with pytest.raises(KeyboardInterrupt):
        read_pixels(Own([GOOD, KeyboardInterrupt(), GOOD]), PixelFormat(8, 8, 1))


def test_names_must_be_unique_and_are_asked_for_before_anything_is_read():
    with pytest.raises(SourceError, match="'a' stands for 2"):
        read_pixels(Own([KeyboardInterrupt(), GOOD], ["a", "a"]), PixelFormat(8, 8, 1))


def test_looking_survives_what_reading_does_and_does_not_depend_on_jobs(folder):
    assert look(Own([MemoryError(), RuntimeError(), GOOD])) == PixelFormat(8, 8, 1)
    assert look(Own([MemoryError()])) == PixelFormat(64, 64, 1)
    assert look(open_source(folder), jobs=1) == look(open_source(folder), jobs=3)


@pytest.mark.parametrize("resize", ["squash", "pad", "crop"])
@pytest.mark.parametrize("shape", [(4000, 1, 3), (1, 4000, 3), (1, 1, 3), (7, 500, 1)])
def test_any_shape_meets_the_format(resize, shape):
    assert fit_to(np.full(shape, 77, np.uint8), PixelFormat(8, 12, 3, resize)).tolist() == [[[77] * 3] * 12] * 8


def test_too_few_images_name_the_broken_ones():
    collection = read_pixels(Own([GOOD] * 4 + [RuntimeError("torn")] * 7), PixelFormat(8, 8, 1))
    with pytest.raises(TooFewImages) as error:
        require_enough(collection)
    assert "Found 4 readable images; 10 are needed" in str(error.value)
    assert "torn" in str(error.value)
    assert "and 2 more" in str(error.value)
    require_enough(collection, 4)


def test_progress_is_told():
    reports = []
    with listening(lambda *report: reports.append(report)):
        read_pixels(Own([GOOD] * 6), PixelFormat(8, 8, 1))
    assert reports[-1] == ("reading", 6, 6)


def test_bytes_decode_as_files_do(folder):
    file = io.BytesIO()
    as_picture(messy.QUARTERS).save(file, "PNG")
    assert np.array_equal(decode(file.getvalue(), "x")[0], messy.QUARTERS)
    assert read_near(ArraySource(messy.QUARTERS[None]), 0, 8)[0].shape == (32, 48, 3)


@pytest.mark.parametrize(("shape", "expected"), [
    ((4, 4), (8, 8)), ((1, 30), (8, 30)), ((30, 1), (30, 8)), ((1, 1), (8, 8)),
    ((8, 8), (8, 8)), ((64, 7), (64, 8))])
def test_images_of_a_few_pixels_are_enlarged_to_what_can_be_learned_from(shape, expected):
    form = look(ArraySource(np.zeros((12, *shape), np.uint8)))
    assert (form.height, form.width) == expected
    assert look(ArraySource(np.zeros((12, *shape), np.uint8)), image_size=5).height == 5, "as asked for"
