import numpy as np
import pytest

import messy
from oddlens import arrays
from oddlens.errors import OptionError, SourceError, TooFewImages
from oddlens.pixels import PixelFormat, fit_to, look, read_pixels, require_enough
from oddlens.progress import listening
from oddlens.reading.decoding import is_grey
from oddlens.sources import ArraySource, open_source

RED, GREEN, BLUE, GREY = messy.quarters(messy.QUARTERS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return messy.make(tmp_path_factory.mktemp("messy") / "photos")


def near(image, expected, tolerance=6):
    assert np.abs(np.array(messy.quarters(image)) - np.array(expected)).max() <= tolerance


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
