import gc
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pytest

import held
import sites
from held import names
from oddlens.errors import MissingExtra, SourceError, UnreadableImage
from oddlens.provenance import Provenance
from oddlens.reading.limits import Limits
from oddlens.sources import open_source, remote
from oddlens.testing import check_source


@pytest.fixture(scope="module")
def filled(in_folder, tmp_path_factory):
    """The images of ``in_folder`` as a folder, a zip and an array, a name that an address has to escape among them."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(in_folder[0], folder / "in")
    (folder / "in" / "a" / "notes.md").write_text("hello")
    (folder / "in" / "b" / "10.png").rename(folder / "in" / "b" / "10 é.png")
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for path in sorted(in_folder[0].rglob("*.png")):
            archive.write(path, path.relative_to(in_folder[0]))
    np.save(folder / "all.npy", np.stack([np.asarray(picture) for picture in held.pictures()]))
    return folder


@pytest.fixture
def memory(filled):
    files = fsspec.filesystem("memory")
    files.put(str(filled), "/site", recursive=True)
    yield "memory://site"
    files.rm("/site", recursive=True)


@pytest.fixture
def web(filled):
    pytest.importorskip("aiohttp")
    with sites.served(filled) as address:
        yield address.rstrip("/")


@pytest.fixture
def bucket(filled, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with sites.served(filled.parent, sites.Bucket) as address:
        query = f"?region=us-east-1&scheme=http&endpoint_override={address.split('/')[2]}"
        yield lambda path: f"s3://key:secret@bucket/{filled.name}/{path}{query}"


def test_a_folder_at_an_address_scores_as_the_folder(in_folder, memory, web, bucket):
    expected = [name.replace("b/10.png", "b/10 é.png") for name in names(open_source(in_folder[0]))]
    for address in (f"{memory}/in", f"{web}/in/", bucket("in")):
        source = open_source(address)
        assert names(source) == expected
        assert source.passed_over == {"other files": 1}
        assert np.allclose(held.scores(source), in_folder[1], rtol=0, atol=1e-6)


def test_archives_and_arrays_at_an_address_are_copied_and_the_copies_go(in_folder, memory, web, bucket):
    before = set(Path(tempfile.gettempdir()).glob("oddlens-*"))
    for address in (f"{memory}/all.zip", f"{web}/all.zip", bucket("all.zip"), f"{web}/all.npy"):
        source = open_source(address)
        assert np.allclose(held.scores(source), in_folder[1], rtol=0, atol=1e-6)
        check_source(source)
        assert (source.pixels is None) == address.partition("?")[0].endswith(".zip")
    assert names(source)[:2] == ["00", "01"]
    assert len(set(Path(tempfile.gettempdir()).glob("oddlens-*")) - before) >= 1
    del source
    gc.collect()
    assert not set(Path(tempfile.gettempdir()).glob("oddlens-*")) - before


def test_addresses_of_images_are_named_by_them(in_folder, memory, web):
    listed = [f"{memory}/in/a/00.png", f"{web}/in/a/01.png?size=large", f"{web}/in/b/10%20%C3%A9.png"]
    source = open_source(listed)
    assert names(source) == listed
    check_source(source)
    for number, picture in ((0, 0), (1, 1), (2, 10)):
        assert np.array_equal(source.read(number), np.asarray(held.pictures()[picture]))
    together = open_source([str(in_folder[0]), f"{memory}/in/a/00.png", f"{memory}/all.zip"])
    assert len(together) == 24 + 1 + 24
    assert names(together)[24:26] == [f"{memory}/in/a/00.png", f"{memory}/all.zip/a/00.png"]
    assert names(open_source(f"{memory}/in/a/*.png"))[:2] == ["00.png", "01.png"]
    assert names(open_source(f"file://{in_folder[0]}"))[0] == "a/00.png"


def test_a_connection_that_breaks_is_tried_again_and_costs_one_image_at_last(memory, monkeypatch):
    source = open_source(f"{memory}/in", limits=Limits(isolate=True))
    asked = []
    system = fsspec.filesystem("memory")
    monkeypatch.setattr(remote, "PAUSE", 0)

    def broken(path, **_):
        asked.append(path)
        raise ConnectionError("reset by peer")

    with monkeypatch.context() as patch:
        patch.setattr(type(system), "cat_file", lambda self, path, **options: broken(path, **options))
        with pytest.raises(UnreadableImage, match=r"a/03\.png: cannot be fetched: reset by peer"):
            source.read(3)
    assert len(asked) == remote.TRIES
    assert source.read(3).shape == (20, 28, 3)
    system.rm("/site/in/a/03.png")
    with pytest.raises(UnreadableImage, match="cannot be fetched"):
        source.read(3)
    small = open_source(f"{memory}/in", limits=Limits(memory=2**20))
    system.pipe("/site/in/a/00.png", bytes(2**21))
    with pytest.raises(UnreadableImage, match="limit of memory is 1 MiB"):
        small.read(0)


def test_what_changed_is_noticed_by_what_the_listing_says(bucket, memory):
    source = open_source(bucket("in"))
    assert source.stamp(0)[1:] != ()
    plain = open_source(f"{memory}/in")
    before = plain.stamp(0)
    fsspec.filesystem("memory").pipe("/site/in/a/00.png", b"other")
    assert open_source(f"{memory}/in").stamp(0) != before


def test_what_is_not_there_or_not_known_is_one_sentence(memory, web, monkeypatch, filled):
    (filled / "notes").mkdir(exist_ok=True)
    (filled / "notes" / "a.md").write_text("hello")
    for address, message in ((f"{web}/none/", "There is nothing at"), (f"{memory}/none", "There is nothing at"),
                             (f"{web}/notes/", "no images among its 1 files"), ("http://127.0.0.1:1/x/", "127.0.0.1:1"),
                             ("gopher://x/y", "not known: abfs, az"), (f"{memory}/in/a/notes.md", "notes.md")):
        with pytest.raises(SourceError, match=message) as error:
            open_source(address)
        assert tempfile.gettempdir() not in str(error.value)
    monkeypatch.setattr(remote, "ROOM_LEFT", 2**60)
    with pytest.raises(SourceError, match="Set TMPDIR"):
        open_source(f"{memory}/all.zip")
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda *_: (_ for _ in ()).throw(ImportError("no aiohttp")))
    with pytest.raises(MissingExtra, match=r"http:// addresses needs aiohttp.*pip install 'oddlens\[remote\]'"):
        open_source(f"{web}/in/")


def test_images_at_an_address_are_found_by_their_names(memory):
    source = open_source(f"{memory}/in")
    provenance = Provenance.of(source, names(source), np.arange(24), np.tile((20, 28), (24, 1)))
    assert {origin.kind for origin in provenance.origins} == {"source"}
    found = provenance.open(f"{memory}/in")
    assert np.array_equal(found.read(17), np.asarray(held.pictures()[17]))
    archive = open_source(f"{memory}/all.zip")
    provenance = Provenance.of(archive, names(archive), np.arange(24), np.tile((20, 28), (24, 1)))
    assert provenance.origins[0].path == "", "the copy is gone when it would be looked for"


@pytest.mark.parametrize("text", ["photos", "C:/photos", "frames:clip.gif", "://x", "s3:bucket", ""])
def test_what_is_no_address(text):
    assert not remote.is_address(text)
