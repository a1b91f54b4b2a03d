
import numpy as np
import pytest

import held
from messy import encoded
from oddlens.errors import SourceError, UnreadableImage
from oddlens.reading.limits import Limits
from oddlens.sources import FileSource, open_source
from oddlens.testing import check_source

datasets = pytest.importorskip("datasets")


def data_set(**columns):
    features = {name: datasets.Image() for name in columns}
    return datasets.Dataset.from_dict({**columns, "label": [0] * len(next(iter(columns.values())))},
                                      datasets.Features({**features, "label": datasets.Value("int32")}))


@pytest.fixture(scope="module")
def data():
    return data_set(image=held.pictures())


@pytest.mark.parametrize("wrapped", [
    lambda data: data, lambda data: datasets.DatasetDict({"train": data}), lambda data: data.with_format("torch"),
    lambda data: data.select(range(24)),
    lambda data: data.with_transform(lambda batch: {"image": [None] * len(batch["image"])}),
])
def test_a_data_set_scores_as_the_folder_of_its_images(in_folder, data, wrapped):
    assert np.allclose(held.scores(wrapped(data)), in_folder[1], rtol=0, atol=1e-6)


def test_a_folder_loaded_by_the_library_is_its_files(in_folder, tmp_path):
    folder, expected = in_folder
    data = datasets.load_dataset("imagefolder", data_dir=str(folder), split="train", cache_dir=str(tmp_path))
    source = open_source(data)
    assert isinstance(source, FileSource)
    order = np.argsort(held.names(source))
    assert np.allclose(held.scores(data)[order], expected, rtol=0, atol=1e-6)


def test_images_are_named_by_their_paths_where_these_are_distinct():
    content = [{"bytes": encoded(picture, "PNG"), "path": f"{number}.png"}
               for number, picture in enumerate(held.pictures())]
    source = open_source(data_set(photo=content))
    assert held.names(source)[:2] == ["0.png", "1.png"]
    check_source(source)
    content[3]["path"] = "0.png"
    assert held.names(open_source(data_set(photo=content)))[:2] == ["00", "01"]


def test_a_broken_image_is_unreadable_whoever_decodes_it():
    content = [{"bytes": b"no image", "path": "a.png"}, {"bytes": None, "path": "gone.png"},
               {"bytes": encoded(held.pictures()[0], "PNG"), "path": "b.png"}]
    for limits in (None, Limits(isolate=True)):
        source = open_source(data_set(photo=content), limits=limits)
        for number, reason in ((0, "a.png: text, not an image"), (1, "gone.png: cannot be opened: No such file")):
            with pytest.raises(UnreadableImage, match=reason):
                source.read(number)
        assert source.read(2).shape == (20, 28, 3)


def test_what_is_not_clear_is_asked_for(data):
    with pytest.raises(SourceError, match=r"the splits 'train', 'test': give one, like data\['train'\]"):
        open_source(datasets.DatasetDict({"train": data, "test": data}))
    with pytest.raises(SourceError, match="streaming=False"):
        open_source(data.to_iterable_dataset())
    two = data_set(left=held.pictures(), right=held.pictures()[::-1])
    with pytest.raises(SourceError, match=r"images in left, right: name one .* column='left'"):
        open_source(two)
    source = open_source(two, column="right")
    assert np.array_equal(source.read(0), np.asarray(held.pictures()[-1]))
    with pytest.raises(SourceError, match="no column 'up'; it has left, right, label"):
        open_source(two, column="up")


def test_images_that_are_arrays_are_found_among_the_columns():
    arrays = [np.asarray(picture).tolist() for picture in held.pictures()]
    features = datasets.Features({"x": datasets.Array3D((20, 28, 3), "uint8"), "y": datasets.Value("int32")})
    data = datasets.Dataset.from_dict({"x": arrays, "y": [0] * 24}, features)
    for source in (open_source(data), open_source(data, column="x")):
        assert np.array_equal(source.read(5), np.asarray(held.pictures()[5]))


def test_a_data_set_without_images_says_what_it_has():
    paths = datasets.Dataset.from_dict({"path": ["a.png", "b.png"]})
    with pytest.raises(SourceError, match=r"no column of images among path.*rank\(data\["):
        open_source(paths)
    assert held.names(open_source(paths["path"])) == ["a.png", "b.png"]
