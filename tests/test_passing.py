"""One pass: learn, encode block by block, score; and go on where it was cut off."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from oddlens import AnomalyModel, passing, registry, stream
from oddlens.blocks import Block
from oddlens.errors import TooFewImages
from oddlens.passing import Work, working
from oddlens.stream import Stream

DETECTORS = ["neighbors", "forest"]


@pytest.fixture
def small(monkeypatch):
    """Samples of 60 images and blocks of 16."""
    monkeypatch.setattr(stream, "LEARNED_IMAGES", 60)
    monkeypatch.setattr(passing, "LEARNED_IMAGES", 60)
    monkeypatch.setattr(stream, "BLOCK_IMAGES", 16)


def model(**options):
    return AnomalyModel("pixels", DETECTORS, **options)


def members(fitted):
    return {column: scores.tolist() for column, scores in fitted.rank().members.items()}


@pytest.fixture
def images(dots):
    return np.concatenate([dots[:100], dots[:5]])


class CutOff(Exception):
    """In place of a lost power line."""


def test_blocks_change_no_score(images, monkeypatch):
    whole = members(model().fit(images))
    monkeypatch.setattr(stream, "BLOCK_IMAGES", 16)
    assert members(model().fit(images)) == whole
    assert members(model(n_jobs=1).fit(images)) == members(model(n_jobs=3).fit(images)) == whole


@pytest.mark.parametrize("name", registry.names("encoder"))
def test_several_threads_change_no_feature(name, images):
    """Blocks are encoded at the same time: an encoder that keeps anything while it encodes would mix them up."""
    steps = {"steps": 20} if "steps" in registry.options("encoder", name) else {}
    pictures = images.repeat(4, 1).repeat(4, 2)
    encoder = registry.create("encoder", name, **steps).fit(pictures[:60])
    blocks = [pictures[start : start + 16] for start in range(0, 96, 16)]

    def encode(block):
        found = encoder.encode(block, frozenset({"embedding", "maps"}))
        return [array for array in (found.embedding, found.maps) if array is not None]

    alone = [encode(block) for block in blocks]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(encode, blocks * 2))
    for one, other in zip(alone * 2, together, strict=True):
        for found, again in zip(one, other, strict=True):
            np.testing.assert_array_equal(found, again)


def test_a_large_collection_is_learned_from_a_sample_and_scored_whole(small, images, monkeypatch):
    learned, learn = [], passing.Ensemble.learn
    monkeypatch.setattr(passing.Ensemble, "learn",
                        lambda self, sample, jobs: learned.append(len(sample)) or learn(self, sample, jobs))
    fitted = model().fit(images)
    assert learned == [60]
    assert len(fitted.rank()) == len(images)
    assert members(fitted)["forest"][100:] == members(fitted)["forest"][:5], "the same pictures"
    assert members(model().fit(model().read(images))) == members(fitted), "read before or meanwhile"


@pytest.mark.parametrize("stage", ["learned", "columns", "scores"])
def test_what_was_cut_off_goes_on_and_ends_the_same(small, images, tmp_path, monkeypatch, stage):
    whole = members(model().fit(images))
    put, done = passing.Blocks.put, []

    def cut(self, number, key, block):
        put(self, number, key, block)
        done.append(self.name)
        if self.name == stage:
            raise CutOff

    monkeypatch.setattr(passing.Blocks, "put", cut)
    work = Work(tmp_path, "key")
    with pytest.raises(CutOff):
        model(n_jobs=1).fit(model().stream(images, work), work=work)
    before = list(done)
    monkeypatch.setattr(passing.Blocks, "put", lambda self, *args: (done.append(self.name), put(self, *args)))
    work = Work(tmp_path, "key")
    assert members(model().fit(model().stream(images, work), work=work)) == whole
    assert work.kept == {"learned": 0, "columns": 16, "scores": 105}[stage]
    counts = {name: done.count(name) for name in set(done)}
    assert counts == {"sample": 4, "learned": 1, "columns": 7, "scores": 2}, "nothing was made twice"
    assert before[-1] == stage


def test_with_other_options_or_images_everything_is_made_anew(small, images, tmp_path):
    def kept(key, given):
        work = Work(tmp_path, key)
        model().fit(model().stream(given, work), work=work)
        return work.kept

    assert kept("one", images) == 0
    assert kept("one", images) == 105
    assert kept("two", images) == 0
    changed = images.copy()
    changed[stream.sampled(105)[7]] = 0
    assert kept("two", changed) == 0, "it was learned from"
    other = changed.copy()
    other[np.setdiff1d(np.arange(105), stream.sampled(105))[3]] = 0
    assert kept("two", other) in (105 - 16, 105 - 9), "one block"
    assert kept("two", other) == 105


def test_what_is_damaged_since_is_made_again(small, images, tmp_path):
    work = Work(tmp_path, "key")
    whole = members(model().fit(model().stream(images, work), work=work))
    for stage in ("learned", "columns", "scores"):
        for path in tmp_path.glob(f"{stage}*"):
            path.write_bytes(path.read_bytes()[: -20])
    again = Work(tmp_path, "key")
    assert members(model().fit(model().stream(images, again), work=again)) == whole
    assert again.kept == 0


def test_other_measures_are_found_in_the_same_pass(small, images, tmp_path):
    work = Work(tmp_path, "key", (lambda some: Block({"mine/mean": some.pixels.mean((1, 2, 3))}),))
    fitted = model().fit(model().stream(images, work), work=work)
    assert work.columns.under("mine/")["mean"].tolist() == fitted.read(images).pixels.mean((1, 2, 3)).tolist()
    assert work.columns.names == fitted.names_


def test_some_rows_of_a_column_can_be_had_again(small, images, tmp_path):
    work = Work(tmp_path, "k")
    fitted = model().fit(images, work=work)
    encoder = next(iter(fitted.encoders_))
    rows = np.array([5, 60, 5, 0])
    assert np.array_equal(work.columns.rows(f"{encoder}/embedding", rows),
                          work.columns.joined(f"{encoder}/embedding")[rows])
    assert work.columns.rows(f"{encoder}/embedding", rows[:0]).shape[0] == 0
    assert work.columns.rows("nothing/embedding", rows) is None


def test_a_large_fit_without_a_folder_leaves_none(small, images, tmp_path, monkeypatch):
    monkeypatch.setattr(passing.tempfile, "tempdir", str(tmp_path))
    with working(None, Stream.of(model().read(images))) as work:
        assert work.folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []
    given = Work()
    with working(given, Stream.of(model().read(images))) as work:
        assert work is given
    with working(None, Stream.of(model().read(images[:30]))) as work:
        assert work.folder is None


def test_too_few_images_are_said_before_anything_is_learned(images, tmp_path):
    work = Work(tmp_path, "key")
    with pytest.raises(TooFewImages):
        model().fit(model().stream(images[:9], work), work=work)
