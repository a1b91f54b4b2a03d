import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

import held
import messy
from held import names
from oddlens.errors import SourceError, UnreadableImage
from oddlens.reading.limits import Limits
from oddlens.sources import archive, open_source
from oddlens.testing import check_source


def zipped(folder, path, packing=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", packing) as file:
        for member in sorted(folder.rglob("*")):
            file.write(member, member.relative_to(folder))
    return path


def tarred(folder, path, mode="w"):
    with tarfile.open(path, mode) as file:
        file.add(folder, ".")
    return path


MAKERS = {
    "a.zip": zipped, "stored.zip": lambda folder, path: zipped(folder, path, zipfile.ZIP_STORED),
    "bz2.zip": lambda folder, path: zipped(folder, path, zipfile.ZIP_BZIP2), "no-suffix": zipped, "a.tar": tarred,
    "a.tar.gz": lambda folder, path: tarred(folder, path, "w:gz"),
    "a.tgz": lambda folder, path: tarred(folder, path, "w:gz"),
    "a.tar.bz2": lambda folder, path: tarred(folder, path, "w:bz2"), "tar-without-suffix": tarred,
}


@pytest.mark.parametrize("name", MAKERS)
def test_an_archive_scores_as_the_folder_in_it(in_folder, tmp_path, name):
    folder, expected = in_folder
    path = MAKERS[name](folder, tmp_path / name)
    source = open_source(path)
    assert names(source) == names(open_source(folder))
    assert np.allclose(held.scores(path), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
@pytest.mark.parametrize("limits", [Limits(), Limits(isolate=True)])
def test_a_messy_folder_is_the_same_in_an_archive(folder, tmp_path, name, limits):
    with (zipfile.ZipFile(tmp_path / name, "w") if name == "a.zip" else tarfile.open(tmp_path / name, "w")) as file:
        for member in ("bmp.bmp", "notes.md", "bad-text.png", "wrong-suffix.txt", "no-suffix", ".hidden.png"):
            add = file.write if name == "a.zip" else file.add
            (tmp_path / member).write_bytes((folder / member.replace(".hidden", "bad-text")).read_bytes())
            add(tmp_path / member, f"deep/{member}")
    source = open_source(tmp_path / name, limits=limits)
    assert names(source) == ["deep/bad-text.png", "deep/bmp.bmp", "deep/no-suffix", "deep/wrong-suffix.txt"]
    assert source.passed_over == {"other files": 1}
    check_source(source)
    with pytest.raises(UnreadableImage, match="text, not an image"):
        source.read(0)


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_pages_of_a_tiff_in_an_archive_are_images(tmp_path, name):
    (tmp_path / "in").mkdir()
    colours = [Image.new("RGB", (9, 7), (50 * i, 0, 0)) for i in range(3)]
    (tmp_path / "in" / "b.tif").write_bytes(messy.encoded(colours[0], "TIFF", save_all=True, append_images=colours[1:]))
    source = open_source((zipped if name == "a.zip" else tarred)(tmp_path / "in", tmp_path / name))
    assert names(source) == ["b.tif", "b.tif#2", "b.tif#3"]
    assert [int(source.read(i)[0, 0, 0]) for i in range(3)] == [0, 50, 100]


def test_shards_of_webdataset_are_archives(in_folder, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    with webdataset.ShardWriter(str(tmp_path / "shard-%03d.tar"), maxcount=9, verbose=0) as shards:
        for number, picture in enumerate(held.pictures()):
            shards.write({"__key__": f"{number:06d}", "png": picture, "cls": number % 3,
                          "mask.png": Image.new("L", (4, 4))})
    pattern = f"{tmp_path}/shard-{{000..002}}.tar"
    source = open_source(pattern, column="png")
    assert len(source) == 24
    assert source.name(0) == f"{tmp_path}/shard-000.tar/000000.png"
    assert np.allclose(held.scores(source), in_folder[1], rtol=0, atol=1e-6)
    assert len(open_source(pattern)) == 48
    assert names(open_source(tmp_path / "shard-001.tar", column="mask.png"))[0] == "000009.mask.png"
    with pytest.raises(SourceError, match="holds no images with the ending jpg among its 27 files"):
        open_source(tmp_path / "shard-001.tar", column="jpg")


def png():
    return messy.encoded(Image.fromarray(messy.QUARTERS), "PNG")


def test_members_that_cannot_be_read_cost_one_image_each(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, packing in (("good.png", zipfile.ZIP_DEFLATED), ("lzma.png", zipfile.ZIP_LZMA),
                              ("damaged.png", zipfile.ZIP_STORED), ("secret.png", zipfile.ZIP_STORED)):
            file.writestr(name, png(), packing)
        file.writestr("large.png", png() + bytes(2**21), zipfile.ZIP_DEFLATED)
        places = {member.filename: member.header_offset for member in file.infolist()}
    content = bytearray(path.read_bytes())
    content[places["damaged.png"] + 80] ^= 255
    directory = content.index(b"PK\x01\x02")
    entry = content.index(b"secret.png", directory) - 46
    content[entry + 8] |= 1
    path.write_bytes(content)
    source = open_source(path, limits=Limits(memory=2**20))
    found = {}
    for number in range(len(source)):
        try:
            source.read(number)
        except UnreadableImage as error:
            found[error.name] = error.reason
    assert set(found) == {"damaged.png", "large.png", "lzma.png", "secret.png"}
    assert "Bad CRC" in found["damaged.png"]
    assert found["secret.png"] == "it is encrypted"
    assert "ask for memory at will" in found["lzma.png"]
    assert "limit of memory is 1 MiB" in found["large.png"]


def test_a_tar_that_is_cut_short_while_it_is_read_costs_the_images_behind(in_folder, tmp_path):
    path = tarred(in_folder[0], tmp_path / "a.tar")
    source = open_source(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    reasons = []
    for number in range(len(source)):
        try:
            source.read(number)
        except UnreadableImage as error:
            reasons.append(error.reason)
    assert 0 < len(reasons) < 24
    assert set(reasons) == {"the archive ends within it"}


def test_links_and_hidden_members_are_no_images(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        for name, kind in (("link.png", tarfile.SYMTYPE), ("pipe.png", tarfile.FIFOTYPE), ("real.png", tarfile.REGTYPE),
                           ("__MACOSX/x.png", tarfile.REGTYPE), ("._real.png", tarfile.REGTYPE),
                           ("../../up.png", tarfile.REGTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            member.size = len(png()) if kind == tarfile.REGTYPE else 0
            file.addfile(member, io.BytesIO(png()))
    assert names(open_source(tmp_path / "a.tar")) == ["real.png"]


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.zip", b"PK\x03\x04 and no more", "cannot be read as a zip"),
    ("a.tar", b"no tar" * 200, "cannot be read as a tar"),
    ("a.tar.gz", b"\x1f\x8b\x08 and no more", "cannot be read as a tar"), ("a.tar", b"", "cannot be read|holds no"),
    ("a.txz", b"\xfd7zXZ\0", "gzip and bzip2 are: unpack it"),
])
def test_what_is_no_archive_is_one_sentence(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        open_source(tmp_path / name)


def test_an_archive_without_images_says_how_much_it_holds(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("notes.md", "hello")
    with pytest.raises(SourceError, match="holds no images among its 1 files"):
        open_source(tmp_path / "a.zip")


def test_a_packed_tar_that_has_no_room_is_refused(in_folder, tmp_path, monkeypatch):
    path = tarred(in_folder[0], tmp_path / "a.tgz", "w:gz")
    monkeypatch.setattr(archive, "ROOM_LEFT", 2**60)
    with pytest.raises(SourceError, match="Set TMPDIR"):
        open_source(path)


def test_a_member_without_a_name_is_none(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in ("x.png", "y.png"):
            file.writestr(name, png())
    content = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace(b"x.png", b"\0.png"))
    assert names(open_source(tmp_path / "a.zip")) == ["y.png"]
