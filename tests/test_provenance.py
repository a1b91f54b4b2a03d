import io
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from oddlens.errors import SavedModelError, UnreadableImage
from oddlens.provenance import Origin, Provenance, file_digest
from oddlens.sources import ArraySource, open_source


def pictures(folder: Path, names, seed=0) -> np.ndarray:
    images = np.random.default_rng(seed).integers(0, 256, (len(names), 9, 12, 3), dtype=np.uint8)
    for name, image in zip(names, images, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / name)
    return images


def known(source, shape=(9, 12)) -> Provenance:
    rows = np.arange(len(source))
    return Provenance.of(source, [source.name(row) for row in rows], rows, np.tile(shape, (len(rows), 1)))


def test_files_are_found_again_after_the_table_was_written_and_read(tmp_path):
    names = ["a.png", "b/c, d.png", 'q"uote.png', "new\nline.png", os.fsdecode(b"latin-\xe9.png")]
    images = pictures(tmp_path / "photos", names)
    source = open_source(tmp_path / "photos")
    known(source).save(tmp_path / "images.csv")
    found = Provenance.load(tmp_path / "images.csv").open()
    assert len(found) == 5
    for row in range(5):
        image = images[names.index(os.fspath(source.paths[row].relative_to(tmp_path / "photos")))]
        assert np.array_equal(found.read(row), image)
        assert found.read_near(row, 4)[1] == (9, 12)
        assert found.path(row) == source.paths[row]
        assert found.state(row) == "same"
        assert found.name(row) == source.name(row)


def test_a_moved_folder_is_given_and_its_images_are_known_by_content(tmp_path):
    images = pictures(tmp_path / "photos", ["a.png", "b/c.png"])
    provenance = known(open_source(tmp_path / "photos"))
    shutil.copytree(tmp_path / "photos", tmp_path / "elsewhere", copy_function=shutil.copyfile)  # at other times
    shutil.rmtree(tmp_path / "photos")
    lost = provenance.open()
    assert lost.state(1) == "missing"
    with pytest.raises(UnreadableImage, match="no such file"):
        lost.read(1)
    found = provenance.open(tmp_path / "elsewhere")
    assert np.array_equal(found.read(1), images[1])
    assert [found.state(row) for row in range(2)] == ["same", "same"]


def test_an_image_that_changed_is_told_also_once_it_changes_again(tmp_path):
    pictures(tmp_path, ["a.png", "b.png"])
    found = known(open_source(tmp_path)).open()
    original = (tmp_path / "a.png").read_bytes()
    os.utime(tmp_path / "b.png", ns=(1, 1))  # another time, the same picture
    (tmp_path / "a.png").write_bytes(original + b"more")
    assert [found.state(row) for row in range(2)] == ["changed", "same"]
    (tmp_path / "a.png").write_bytes(original)
    assert found.state(0) == "same"


def test_listed_files_are_within_the_folder_that_holds_all(tmp_path):
    pictures(tmp_path, ["x/a.png", "y/b.png"])
    provenance = known(open_source([tmp_path / "x" / "a.png", tmp_path / "y" / "b.png"]))
    assert [origin.within for origin in provenance.origins] == ["x/a.png", "y/b.png"]
    assert provenance.origins[0].sha256 == file_digest(tmp_path / "x" / "a.png")


def test_each_page_of_a_tiff_is_found(tmp_path):
    pages = [Image.fromarray(np.full((9, 12), level, np.uint8)) for level in (10, 200)]
    pages[0].save(tmp_path / "two.tiff", save_all=True, append_images=pages[1:])
    found = known(open_source(tmp_path)).open()
    assert [int(found.read(row).mean()) for row in range(2)] == [10, 200]


def test_rows_of_an_array_file_are_found_and_checked(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 9, 12), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    provenance = known(open_source(tmp_path / "images.npy"))
    found = provenance.open()
    assert np.array_equal(found.read(2)[..., 0], images[2])
    assert found.path(2) is None
    images[3] += 1
    np.save(tmp_path / "images.npy", images)
    os.utime(tmp_path / "images.npy", ns=(1, 1))
    again = provenance.open()
    assert [again.state(row) for row in range(4)] == ["same", "same", "same", "changed"]
    (tmp_path / "images.npy").rename(tmp_path / "moved.npy")
    assert provenance.open().state(0) == "missing"
    assert [provenance.open(tmp_path / "moved.npy").state(row) for row in (0, 3)] == ["same", "changed"]


def zipped(images, path, broken=()):
    with zipfile.ZipFile(path, "w") as archive:
        for number, image in enumerate(images):
            stream = io.BytesIO()
            Image.fromarray(image).save(stream, "PNG")
            archive.writestr(f"{number}.png", b"" if number in broken else stream.getvalue())


def test_images_in_an_archive_are_found_and_checked(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 9, 12, 3), dtype=np.uint8)
    zipped(images, tmp_path / "a.zip")
    known(open_source(tmp_path / "a.zip")).save(tmp_path / "images.csv")
    provenance = Provenance.load(tmp_path / "images.csv")
    found = provenance.open()
    assert np.array_equal(found.read(2), images[2])
    assert found.read_near(1, 4)[1] == (9, 12)
    assert found.path(2) is None
    assert [found.state(row) for row in range(4)] == ["same"] * 4
    images[3] += 1
    zipped(images, tmp_path / "a.zip", broken=(1,))
    os.utime(tmp_path / "a.zip", ns=(1, 1))
    again = provenance.open()
    assert [again.state(row) for row in range(4)] == ["same", "changed", "same", "changed"]
    (tmp_path / "a.zip").rename(tmp_path / "moved.zip")
    assert provenance.open().state(0) == "missing"
    with pytest.raises(UnreadableImage, match=r"There is no .*a\.zip"):
        provenance.open().read(0)
    assert [provenance.open(tmp_path / "moved.zip").state(row) for row in (0, 3)] == ["same", "changed"]
    zipped(images[:2], tmp_path / "a.zip")
    with pytest.raises(UnreadableImage, match="has no image 3"):
        provenance.open().read(3)


def test_images_of_a_column_and_of_several_things_are_found(tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (4, 9, 12, 3), dtype=np.uint8)
    zipped(images, tmp_path / "a.zip")
    (tmp_path / "photos").mkdir()
    pictures(tmp_path / "photos", ["x.png", "y.png"])
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        contents = [archive.read(f"{number}.png") for number in range(4)]
    parquet.write_table(pyarrow.table({"up": contents, "down": contents[::-1]}), tmp_path / "t.parquet")
    source = open_source([tmp_path / "photos", tmp_path / "a.zip"])
    table = open_source(tmp_path / "t.parquet", column="down")
    np.save(tmp_path / "rows.npy", images)
    for given in (source, table, open_source([tmp_path / "rows.npy", tmp_path / "photos"])):
        provenance = known(given)
        found = provenance.open()
        for row in range(len(given)):
            assert np.array_equal(found.read(row), given.read(row))
            assert found.state(row) == "same"
    assert [origin.kind for origin in known(source).origins] == ["file"] * 2 + ["inside"] * 4
    assert known(table).origins[0].within == "down"


@pytest.mark.parametrize("path", ["http://127.0.0.1:1/a.zip", "memory://a.zip", "frames:clip.gif"])
def test_a_table_cannot_make_anything_be_fetched(path):
    found = Provenance(("a",), (Origin("inside", path),)).open()
    with pytest.raises(UnreadableImage, match="There is no"):
        found.read(0)


def test_an_array_in_memory_can_be_given_again(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 9, 12), dtype=np.uint8)
    provenance = known(ArraySource(images))
    with pytest.raises(UnreadableImage, match="--images"):
        provenance.open().read(0)
    assert provenance.open().state(0) == "fileless"
    assert np.array_equal(provenance.open(images).read(1)[..., 0], images[1])
    assert provenance.open(images).state(1) == "same"
    assert provenance.open(images + 1).state(1) == "changed"
    assert provenance.open(images[:2]).state(3) == "missing"


def test_what_lay_in_no_file_is_looked_for_in_a_folder_by_its_name(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (4, 9, 12), dtype=np.uint8)
    provenance = known(ArraySource(images))
    (tmp_path / "photos").mkdir()
    Image.fromarray(images[2]).save(tmp_path / "photos" / "other.png")
    assert provenance.open(tmp_path / "photos").state(2) == "missing"
    named = Provenance(("a", "other.png"), provenance.origins[1:3]).open(tmp_path / "photos")
    assert [named.state(row) for row in range(2)] == ["missing", "same"]
    assert np.array_equal(named.read(1)[..., 0], images[2])


def test_a_source_of_ones_own_is_known_by_its_names(dots):
    class Own:
        def __len__(self):
            return 3

        def name(self, index):
            return f"own {index}"

        def read(self, index):
            return dots[index]

    provenance = known(Own())
    assert provenance.open().state(0) == "fileless"
    assert provenance.open(Own()).state(0) == "unknown"
    assert provenance.open(dots).state(2) == "missing"
    assert np.array_equal(provenance.open(Own()).read(2), dots[2])
    with pytest.raises(UnreadableImage, match="not among"):
        provenance.open(dots).read(2)


@pytest.mark.parametrize("within", ["../secret.png", "/etc/secret.png", "", "a/../../secret.png"])
def test_a_table_cannot_lead_out_of_the_folder_that_is_given(tmp_path, within):
    pictures(tmp_path, ["secret.png", "photos/a.png"])
    found = Provenance(("a",), (Origin("file", "/nowhere", within),)).open(tmp_path / "photos")
    assert found.path(0) is None
    assert found.state(0) == "missing"
    with pytest.raises(UnreadableImage):
        found.read(0)


@pytest.mark.parametrize("content", [
    b"", b"name\n", b"\xff\xfe", b"name,kind\na,file\n",
    b"name,kind,path,within,place,size,modified,sha256,height,width\na,file,/x,x,-1,1,1,,1,1\n",
    b"name,kind,path,within,place,size,modified,sha256,height,width\na,pipe,/x,x,0,1,1,,1,1\n",
    b"name,kind,path,within,place,size,modified,sha256,height,width\na,file,/x,x,0,1,1,zz,1,1\n",
    b'name,kind,path,within,place,size,modified,sha256,height,width\n"a,file\n',
])
def test_a_damaged_table_is_refused(tmp_path, content):
    (tmp_path / "images.csv").write_bytes(content)
    with pytest.raises(SavedModelError, match=r"images\.csv"):
        Provenance.load(tmp_path / "images.csv")
