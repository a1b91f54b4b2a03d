"""The page on what can be ranked: every example on it is run, as a reader would paste it, on files of such names."""

import io
import os
import re
import shlex
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from click.testing import CliRunner
from PIL import Image
from pyarrow import parquet

import clips
import dicoms
import oddlens
import sites
import vision
from instant import InstantEncoder
from oddlens.cli import cli
from oddlens.ranking import Ranking

PAGE = (Path(__file__).parent.parent / "docs" / "sources.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
QUICK = ["--encoder", "pixels", "--detector", "neighbors", "--no-model", "--no-isolate"]
COUNT = 24


def blocks(section, language):
    return re.findall(rf"```{language}\n(.*?)```", SECTIONS[section], re.DOTALL)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with all that the page names."""
    place = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, 12, 16, 3), dtype=np.uint8)
    paths = [place / "photos" / "ab"[number % 2] / f"{number:02}.png" for number in range(COUNT)]
    for path, image in zip(paths, images, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (place / "more").mkdir()
    Image.fromarray(images[0]).save(place / "more" / "extra.png")
    listed = [path.relative_to(place).as_posix() for path in paths]
    (place / "list.txt").write_text("\n".join(listed))
    (place / "table.csv").write_text("\n".join(["image,label", *(f"{name},{number % 2}" for number, name in
                                                                 enumerate(listed))]))
    contents = [path.read_bytes() for path in paths]
    parquet.write_table(pyarrow.table({"image": [{"bytes": content, "path": name} for content, name in
                                                 zip(contents, listed, strict=True)]}), place / "images.parquet")
    with zipfile.ZipFile(place / "photos.zip", "w") as archive:
        for name, content in zip(listed, contents, strict=True):
            archive.writestr(name, content)
    with tarfile.open(place / "photos.tar.gz", "w:gz") as archive:
        archive.add(place / "photos", "photos")
    (place / "shards").mkdir()
    for shard in range(3):
        with tarfile.open(place / "shards" / f"train-{shard:03}.tar", "w") as archive:
            for number in range(shard, COUNT, 3):
                for ending in ("png", "mask.png"):
                    member = tarfile.TarInfo(f"{number:06}.{ending}")
                    member.size = len(contents[number])
                    archive.addfile(member, io.BytesIO(contents[number]))
    return place, images


@pytest.fixture
def place(made, monkeypatch):
    monkeypatch.chdir(made[0])
    return made[0]


@pytest.fixture
def counted(monkeypatch):
    """How many images each ``rank`` on the page ranked, by quick methods."""
    real, counts = oddlens.rank, []

    def rank(images):
        ranking = real(images, encoder=InstantEncoder(), detector="neighbors")
        assert isinstance(ranking, Ranking)
        assert not ranking.unreadable
        counts.append(len(ranking))
        return ranking

    monkeypatch.setattr(oddlens, "rank", rank, raising=False)
    return counts


def run(section, known=None):
    for block in blocks(section, "python"):
        exec(compile(block, section, "exec"), known if known is not None else {})


def ranked(line):
    """How many images a command of the page ranked."""
    command, _, _ = line.partition("#")
    before, _, after = command.rpartition("| ")
    given = subprocess.run(before, shell=True, capture_output=True, check=True).stdout if before else None
    words = shlex.split(after)
    assert words[:2] == ["oddlens", "rank"]
    assert not Path(words[words.index("--out") + 1]).exists(), "a command in a row has a folder of its own"
    runner = CliRunner()
    done = runner.invoke(cli, [*words[1:], *QUICK, "--json"], input=given, catch_exceptions=False)
    assert done.exit_code == 0, f"{line}\n{done.output}"
    return int(re.search(r'"ranked": (\d+)|"found": (\d+)', done.stdout)[0].split(": ")[1])


def lines(section):
    return [line for block in blocks(section, "sh") for line in block.splitlines()]


def test_each_kind_has_its_section_and_each_example_its_test():
    tried = {"Files", "Archives and shards", "Tables", "Data sets", "Pictures and arrays in memory",
             "Videos, animations and medical images", "Addresses"}
    assert {name for name in SECTIONS if "```" in SECTIONS[name]} == tried


def test_files(place, counted):
    os.utime(place / "list.txt", (1, 1))
    assert [ranked(line) for line in lines("Files")] == [COUNT, COUNT + 1, COUNT, COUNT, COUNT]
    run("Files")
    assert counted == [COUNT, COUNT]


def test_archives(place):
    assert [ranked(line) for line in lines("Archives and shards")] == [COUNT] * 3


def test_tables(place, counted):
    pytest.importorskip("polars")
    pytest.importorskip("pandas")
    assert [ranked(line) for line in lines("Tables")] == [COUNT] * 3
    run("Tables")
    assert counted == [COUNT] * 4


def test_data_sets(place, counted, tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    vision.torchvision()
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path))
    run("Data sets")
    assert counted == [COUNT, 20, COUNT]


def test_pictures_and_arrays(place, counted):
    known = {}
    run("Pictures and arrays in memory", known)
    assert counted == [COUNT] * 6
    for picture in known["pictures"]:
        picture.close()
    (place / "images.npy").unlink()


def test_videos_and_medical_images(place, made):
    clips.write(place / "clip.mp4", np.repeat(np.repeat(made[1], 4, 1), 4, 2), "mpeg4")
    (place / "clips").mkdir(exist_ok=True)
    (place / "clips" / "a.mp4").write_bytes((place / "clip.mp4").read_bytes())
    (place / "clips" / "b.mp4").write_bytes((place / "clip.mp4").read_bytes())
    (place / "scans").mkdir(exist_ok=True)
    for number, image in enumerate(made[1]):
        dicoms.write(place / "scans" / f"IM{number:04}", image[..., 0])
    found = [ranked(line) for line in lines("Videos, animations and medical images")]
    assert found == [COUNT, 2 * COUNT, COUNT]


def test_addresses(place, monkeypatch):
    pytest.importorskip("aiohttp")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    for name, value in (("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "us-east-1"),
                        ("AWS_EC2_METADATA_DISABLED", "true")):
        monkeypatch.setenv(name, value)
    with sites.served(place) as web, sites.served(place, sites.Bucket) as bucket:
        monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.rstrip("/"))
        found = [ranked(line.replace("https://example.org/", web)) for line in lines("Addresses")]
    assert found == [COUNT] * 3
