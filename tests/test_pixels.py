
import numpy as np
import pytest

import messy
from oddlens import arrays, pixels
from oddlens.errors import OptionError, SourceError, TooFewImages, UnreadableImage
from oddlens.pixels import PixelFormat, fit_to, look, read_near, read_pixels, reduced, require_enough
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
    {"image_size": 4097}, {"image_size": (0, 8)}, {"image_size": (8, 4097)}, {"image_size": (8,)}, {"image_size": "8"},
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
    with pytest.raises(SourceError, match="'a' stands for 3"):
        read_pixels(Own([KeyboardInterrupt()] * 6, ["b", "a", "a", "b", "a", "c"]), PixelFormat(8, 8, 1))


def test_looking_survives_what_reading_does_and_does_not_depend_on_jobs(folder):
    assert look(Own([MemoryError(), RuntimeError(), GOOD])) == PixelFormat(8, 8, 1)
    assert look(Own([MemoryError()])) == PixelFormat(64, 64, 1)
    assert look(Own([MemoryError()]), (10, 20), resize="pad") == PixelFormat(10, 20, 1, "pad")
    assert look(Own([MemoryError()]), channels=3) == PixelFormat(64, 64, 3)
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
    with pytest.raises(TooFewImages, match="5 are needed"):
        require_enough(collection, 5)
    for broken, said in ((5, ""), (6, "\n  and 1 more")):
        short = read_pixels(Own([GOOD] + [RuntimeError("torn")] * broken), PixelFormat(8, 8, 1))
        with pytest.raises(TooFewImages) as error:
            require_enough(short)
        lines = "".join(f"\n  {name}: RuntimeError: torn" for name in range(1, 6))
        assert str(error.value).endswith(f" {broken} could not be read:{lines}{said}")
    with pytest.raises(TooFewImages, match=r"ordinary\.$"):
        require_enough(read_pixels(Own([GOOD]), PixelFormat(8, 8, 1)))


def test_progress_is_told():
    reports = []
    with listening(lambda *report: reports.append(report)):
        read_pixels(Own([GOOD] * 6), PixelFormat(8, 8, 1))
    assert reports[-1] == ("reading", 6, 6)


@pytest.mark.parametrize(("shapes", "size"), [
    ([(64, 9)], (64, 9)), ([(64, 3)], (64, 8)), ([(65, 65)], (64, 64)), ([(9, 8), (9, 8)], (9, 8)),
    ([(10, 30), (12, 29), (22, 40)], (12, 32)),  # the medians, 12 and 30, to multiples of 4
    ([(9, 30), (13, 29)], (12, 28)),  # 11 and 29.5
    ([(2, 100)], (8, 64)),  # never below 8
    ([(640, 320), (64, 64), (200, 400)], (40, 64)),  # 200 and 320, by a fifth
])
def test_the_size_is_the_one_shape_or_the_median_on_at_most_64_pixels(shapes, size):
    assert look(Own([np.zeros((*shape, 1), np.uint8) for shape in shapes])) == PixelFormat(*size, 1)


def test_nineteen_grey_images_in_twenty_are_a_grey_collection():
    colour = np.full((8, 8, 3), (200, 0, 0), np.uint8)
    assert look(Own([GOOD] * 19 + [colour])).channels == 1
    assert look(Own([GOOD] * 18 + [colour] * 2)).channels == 3


class Asked:
    """A source that remembers which images were asked for."""

    def __init__(self, n):
        self.n, self.asked = n, []

    def __len__(self):
        return self.n

    def name(self, index):
        return str(index)

    def read(self, index):
        self.asked.append(index)
        return GOOD


def test_images_are_looked_at_all_over_the_source_and_not_where_all_is_said():
    source = Asked(101)
    look(source, sample=5)
    assert source.asked == [0, 25, 50, 75, 100]
    few, many = Asked(3), Asked(1000)
    look(few)
    look(many)
    assert few.asked == [0, 1, 2]
    assert (len(many.asked), many.asked[0], many.asked[-1]) == (256, 0, 999)
    unasked = Asked(10)
    assert look(unasked, (3, 4), 3, "crop") == PixelFormat(3, 4, 3, "crop")
    assert not unasked.asked


@pytest.mark.parametrize("size", [1, 4096, np.int64(20), (1, 4096), [7, np.uint8(9)]])
def test_sizes_that_may_be_asked_for(size):
    form = look(Asked(3), size)
    pair = size if isinstance(size, tuple | list) else (size, size)
    assert [form.height, form.width] == [int(side) for side in pair]
    assert type(form.height) is type(form.width) is int


def test_smaller_is_the_mean_of_what_a_pixel_covers_and_larger_has_no_steps():
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 1), dtype=np.uint8)
    for height, width in ((2, 2), (4, 2), (2, 4)):
        means = image.reshape(height, 4 // height, width, 4 // width).mean((1, 3))
        assert np.abs(fit_to(image, PixelFormat(height, width, 1))[..., 0] - means).max() <= 1
    ramp = np.tile(np.uint8([0, 100, 200]), (4, 1))[..., None]
    for height in (2, 8):  # also where the other axis is made smaller
        found = fit_to(ramp, PixelFormat(height, 12, 1))[..., 0].astype(int)
        assert (np.diff(found[:, 1:-1]) > 0).all()


@pytest.mark.parametrize("side", [2, 8])
def test_a_cut_or_padded_image_is_scaled_as_any_other(side):
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    wide = np.concatenate([np.full((4, 2, 3), 9, np.uint8), image, np.full((4, 2, 3), 9, np.uint8)], axis=1)
    expected = fit_to(image, PixelFormat(side, side, 3))
    assert np.array_equal(fit_to(image, PixelFormat(side, 2 * side, 3, "pad"))[:, side // 2 : -side // 2], expected)
    if side == 2:  # where pixels are averaged the rim has no say in the middle
        assert np.array_equal(fit_to(wide, PixelFormat(side, side, 3, "crop")), expected)


def test_the_border_has_the_mean_colour_of_the_rim():
    image = np.full((3, 3, 3), 40, np.uint8)
    image[0, 1] = (100, 40, 10)  # 60 more and 30 less, in 12 pixels, for corners are of two sides
    image[1, 1] = 255  # no part of the rim
    padded = fit_to(image, PixelFormat(3, 9, 3, "pad"))
    assert padded[:, 0].tolist() == padded[:, -1].tolist() == [[45, 40, 38]] * 3
    assert np.array_equal(padded[:, 3:6], image)
    grey = fit_to(image[..., :1], PixelFormat(3, 9, 1, "pad"))
    assert (grey[:, [0, 1, 2, 6, 7, 8]] == 45).all()


@pytest.mark.parametrize(("error", "reason"), [
    (MemoryError(), "too large for this machine's memory"), (RuntimeError("on fire"), "RuntimeError: on fire"),
    (UnreadableImage("x", "torn"), "torn"),
])
def test_why_an_image_of_a_source_cannot_be_read(error, reason):
    with pytest.raises(UnreadableImage) as caught:
        read_near(Own([error], ["x"]), 0, 8)
    assert (caught.value.name, caught.value.reason) == ("x", reason)


@pytest.mark.parametrize(("result", "got"), [
    (None, "NoneType"), (GOOD[..., 0], r"uint8 \(8, 8\)"), (GOOD.astype(float), r"float64 \(8, 8, 1\)"),
    (np.zeros((8, 8, 2), np.uint8), r"uint8 \(8, 8, 2\)"), (GOOD[:0], r"uint8 \(0, 8, 1\)"),
    (GOOD[:, :0], r"uint8 \(8, 0, 1\)"),
    (np.zeros((8, 8, 4), np.uint8), r"uint8 \(8, 8, 4\)"), (GOOD.astype(np.int8), "int8"),
])
def test_what_is_no_image_is_said(result, got):
    with pytest.raises(UnreadableImage, match=rf"^x: the source gave {got}.* not uint8 \(height, width, 1 or 3\)"):
        read_near(Own([result], ["x"]), 0, 8)


@pytest.mark.parametrize(("shape", "expected"), [((64, 96), (64, 96)), ((200, 256), (100, 128)), ((13, 256), (8, 128)),
                                                 ((256, 6), (128, 6))])
def test_a_panorama_is_not_reduced_to_less_than_encoders_need(shape, expected):
    assert reduced(np.zeros((2, *shape, 1), np.uint8), 128).shape == (2, *expected, 1)


def test_a_source_may_read_reduced_and_says_how_large_the_whole_was():
    class Reduced(Own):
        def read_near(self, index, side):
            return np.zeros((side, side + 1, 3), np.uint8), (100, 200)

    image, shape = read_near(Reduced([None]), 0, 9)
    assert (image.shape, shape) == ((9, 10, 3), (100, 200))
    assert read_near(Own([GOOD[:5]]), 0, 9)[1] == (5, 8)
    collection = read_pixels(Reduced([None] * 2), PixelFormat(4, 6, 1))
    assert collection.shapes.tolist() == [[100, 200]] * 2


def test_ten_images_are_the_fewest(dots):
    require_enough(read_pixels(ArraySource(dots[:10]), PixelFormat(8, 8, 1)))
    with pytest.raises(TooFewImages, match="Found 9"):
        require_enough(read_pixels(ArraySource(dots[:9]), PixelFormat(8, 8, 1)))


def test_pixels_that_need_no_change_are_copied_in_blocks(dots, monkeypatch):
    monkeypatch.setattr(pixels, "BLOCK", 50)
    reports = []
    with listening(lambda *report: reports.append(report)):
        found = read_pixels(ArraySource(dots), PixelFormat(8, 8, 1, "crop"))
    assert reports == [("reading", 50, 120), ("reading", 100, 120), ("reading", 120, 120)]
    assert np.array_equal(found.pixels, dots)
    assert found.shapes.tolist() == [[8, 8]] * 120
    assert found.shapes.dtype == np.int32
    assert found.indices.tolist() == [*range(120)]
    assert (found.unreadable, found.seconds, found.format) == ((), 0, PixelFormat(8, 8, 1, "crop"))
    assert not np.shares_memory(found.pixels, dots)
    other = read_pixels(ArraySource(dots), PixelFormat(4, 8, 1))
    assert other.pixels.shape == (120, 4, 8, 1)
    assert other.shapes.tolist() == [[8, 8]] * 120


@pytest.mark.parametrize(("shape", "expected"), [
    ((4, 4), (8, 8)), ((1, 30), (8, 30)), ((30, 1), (30, 8)), ((1, 1), (8, 8)),
    ((8, 8), (8, 8)), ((64, 7), (64, 8))])
def test_images_of_a_few_pixels_are_enlarged_to_what_can_be_learned_from(shape, expected):
    form = look(ArraySource(np.zeros((12, *shape), np.uint8)))
    assert (form.height, form.width) == expected
    assert look(ArraySource(np.zeros((12, *shape), np.uint8)), image_size=5).height == 5, "as asked for"
