import sys

import numpy as np
import pytest

import clips
from oddlens.errors import MissingExtra, UnreadableImage
from oddlens.reading.limits import Limits
from oddlens.reading.video import Video, is_video

FRAMES = np.random.default_rng(0).integers(0, 256, (12, 16, 24, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["mkv", "avi"])
def test_frames_are_counted_without_decoding_and_read_in_order(tmp_path, suffix):
    path = clips.write(tmp_path / f"x.{suffix}", FRAMES)
    assert is_video(path.read_bytes()[:16])
    video = Video(path, Limits())
    assert video.count == 12
    found = dict(video.frames(0))
    assert sorted(found) == list(range(12))
    assert all(np.array_equal(found[number], FRAMES[number]) for number in found)


@pytest.mark.parametrize(("suffix", "codec"), [
    ("mp4", "mpeg4"), ("mp4", "libx264"), ("mkv", "libx264"), ("mkv", "ffv1"), ("avi", "mpeg4"), ("mpg", "mpeg2video")])
def test_a_frame_that_is_jumped_to_is_the_one_that_is_come_to(tmp_path, suffix, codec):
    smooth = np.repeat(np.arange(0, 240, 6, dtype=np.uint8), 32 * 32 * 3).reshape(40, 32, 32, 3)
    rate = 25 if suffix == "mpg" else 10
    video = Video(clips.write(tmp_path / f"x.{suffix}", smooth, codec, rate=rate), Limits())
    whole = dict(video.frames(0))
    assert video.count == 40
    assert sorted(whole) == list(range(40))
    assert all(abs(float(whole[number].mean()) - 6 * number) < 12 for number in whole)
    for start in (0, 1, 13, 39, 20):
        found = {}
        for number, frame in video.frames(start):
            found[number] = frame
            if number >= start:
                break
        assert np.array_equal(found[start], whole[start])


def test_what_is_no_video_or_too_large_is_said(tmp_path):
    path = clips.write(tmp_path / "x.mkv", np.zeros((2, 200, 300, 3), np.uint8))
    with pytest.raises(UnreadableImage, match="300 x 200 pixels would take"):
        Video(path, Limits(memory=2**20))
    content = path.read_bytes()
    for name, data, reason in (
            ("list", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n", "does not begin as a video"),
            ("cut.mkv", content[:40], "damaged|no pictures|no frames"), ("empty", b"", "does not begin")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UnreadableImage, match=reason):
            Video(tmp_path / name, Limits())
    for head in (b"", b"#EXTM3U", b"\0\0\0\x1cftypavif", b"\0\0\0\x1cftypheic", b"RIFF....WEBP"):
        assert not is_video(head)


def test_without_pyav_the_way_out_is_named(tmp_path, monkeypatch):
    path = clips.write(tmp_path / "x.mkv", FRAMES)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"Reading videos needs PyAV.*pip install 'oddlens\[video\]'"):
        Video(path, Limits())
