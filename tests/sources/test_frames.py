import gc

import numpy as np
import pytest
from PIL import Image

import clips
import held
from held import names
from oddlens.errors import OutputError, SourceError, UnreadableImage
from oddlens.pixels import PixelFormat, read_pixels
from oddlens.provenance import Provenance
from oddlens.reading.limits import Limits
from oddlens.result_marks import require_outside
from oddlens.sources import frames, open_source
from oddlens.sources.frames import FrameSource
from oddlens.testing import check_source

PICTURES = held.pictures()
ARRAYS = np.stack([np.asarray(picture) for picture in PICTURES])


@pytest.fixture(params=["x.mkv", "x.webp", "x.png"])
def clip(tmp_path, request):
    path = tmp_path / request.param
    if path.suffix == ".mkv":
        return clips.write(path, ARRAYS)
    options = {"lossless": True} if path.suffix == ".webp" else {}
    PICTURES[0].save(path, save_all=True, append_images=PICTURES[1:], **options)
    return path


def test_frames_score_as_the_folder_of_them(in_folder, clip):
    source = open_source(clip)
    assert isinstance(source, FrameSource)
    assert names(source)[:3] == [clip.name, f"{clip.name}#2", f"{clip.name}#3"]
    assert np.allclose(held.scores(source), in_folder[1], rtol=0, atol=1e-6)


def test_frames_are_the_same_in_any_order(clip):
    source = open_source(clip)
    for number in (5, 4, 23, 0, 11, 10, 23, 22):
        assert np.array_equal(source.read(number), ARRAYS[number])
    check_source(source)
    assert source.read_near(3, 64)[1] == (20, 28)
    collection = read_pixels(source, PixelFormat(20, 28, 3), jobs=4)
    assert np.array_equal(collection.pixels, ARRAYS)


def test_a_gif_gives_all_its_frames_where_it_is_named_and_the_first_in_a_folder(tmp_path):
    grey = [Image.fromarray(np.full((20, 30), 10 * number, np.uint8)) for number in range(12)]
    grey[0].save(tmp_path / "x.gif", save_all=True, append_images=grey[1:])
    source = open_source(tmp_path / "x.gif")
    assert len(source) == 12
    assert [int(source.read(number).mean()) for number in range(12)] == [10 * number for number in range(12)]
    assert names(open_source(tmp_path)) == ["x.gif"]
    grey[0].save(tmp_path / "one.gif")
    assert names(open_source(tmp_path / "one.gif")) == ["one.gif"]
    (tmp_path / "broken.gif").write_bytes((tmp_path / "x.gif").read_bytes()[:30])
    with pytest.raises(UnreadableImage):
        open_source(tmp_path / "broken.gif").read(0)


def test_only_as_many_frames_are_kept_and_files_open_as_are_in_use(tmp_path, monkeypatch):
    paths = [str(clips.write(tmp_path / f"{letter}.mkv", ARRAYS)) for letter in "abcdefg"]
    source = open_source(paths)
    assert source.name(24 + 2) == f"{paths[1]}#3"
    assert len(source) == 7 * 24
    monkeypatch.setattr(frames, "KEPT_BYTES", 3 * ARRAYS[0].nbytes)
    for number in range(0, len(source), 3):
        assert np.array_equal(source.read(number), ARRAYS[number % 24])
    for part in source.parts:
        part.read(7)
    assert all(len(part._kept) <= 3 for part in source.parts)
    assert sum(part._next < 24 for part in source.parts) <= frames.MOST_RUNNING
    del source, part
    gc.collect()


def test_frames_are_found_again(tmp_path, clip):
    source = open_source(clip)
    rows = np.arange(len(source))
    Provenance.of(source, names(source), rows, np.tile((20, 28), (24, 1))).save(tmp_path / "images.csv")
    found = Provenance.load(tmp_path / "images.csv").open()
    assert np.array_equal(found.read(17), ARRAYS[17])
    assert found.state(17) == "same"
    assert found.read_near(17, 64)[1] == (20, 28)
    before = source.stamp(3)
    clip.write_bytes(clip.read_bytes() + b" ")
    assert found.state(17) == "unknown", "it has changed, and no digests are kept of frames"
    assert source.stamp(3) != before
    clip.unlink()
    assert found.state(17) == "missing"
    assert source.stamp(3) == ()


def test_results_may_lie_beside_a_video_and_not_beside_an_animation(clip):
    other = clips.write(clip.parent / "other.mkv", ARRAYS[:2])
    for source in (open_source(clip), open_source([str(clip), str(other)])):
        if clip.suffix == ".mkv":
            assert require_outside(clip.parent / "run", source) is None
        else:
            with pytest.raises(OutputError, match="never written to"):
                require_outside(clip.parent / "run", source)


def test_a_damaged_video_costs_its_frames(tmp_path):
    path = clips.write(tmp_path / "x.mkv", ARRAYS)
    source = open_source(path)
    content = bytearray(path.read_bytes())
    path.write_bytes(content[: len(content) // 2])
    lost = read_pixels(source, PixelFormat(20, 28, 3)).unreadable
    assert 0 < len(lost) < 24
    assert all("decoded" in reason or "damaged" in reason for _, reason in lost)
    path.write_bytes(b"\x1aE\xdf\xa3" + bytes(100))
    with pytest.raises(SourceError, match=r"x\.mkv cannot be read as a video"):
        open_source(path)


def test_a_folder_of_videos_says_how_to_name_them(tmp_path):
    clips.write(tmp_path / "x.mkv", ARRAYS[:2])
    with pytest.raises(SourceError, match=r"1 videos.*like '.*/\*\.mp4'"):
        open_source(tmp_path)
    assert len(open_source(f"{tmp_path}/*.mkv", limits=Limits(isolate=True))) == 2
