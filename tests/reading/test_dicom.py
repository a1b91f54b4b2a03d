import sys

import numpy as np
import pytest

from dicoms import write
from oddlens.errors import UnreadableImage
from oddlens.reading.decoding import decode, looks_like_image
from oddlens.reading.dicom import count_frames, is_dicom
from oddlens.reading.limits import Limits
from oddlens.sources import open_source
from oddlens.testing import check_source

pydicom = pytest.importorskip("pydicom")


RAMP = np.arange(-200, 200, dtype=np.int16).reshape(20, 20)


@pytest.mark.parametrize(("fields", "expected"), [
    ({}, (RAMP + 200) / 399),
    ({"WindowCenter": 0.5, "WindowWidth": 101}, np.clip((RAMP + 50) / 100, 0, 1)),
    ({"WindowCenter": [0.5, 9], "WindowWidth": [101, 3]}, np.clip((RAMP + 50) / 100, 0, 1)),
    ({"WindowCenter": 1000.5, "WindowWidth": 101, "RescaleSlope": 10, "RescaleIntercept": 1000},
     np.clip((RAMP * 10 + 50) / 100, 0, 1)),
    ({"WindowCenter": 0, "WindowWidth": 100, "VOILUTFunction": "LINEAR_EXACT"}, np.clip(RAMP / 100 + 0.5, 0, 1)),
    ({"WindowCenter": 0, "WindowWidth": 100, "VOILUTFunction": "SIGMOID"}, 1 / (1 + np.exp(-RAMP / 25))),
    ({"PhotometricInterpretation": "MONOCHROME1"}, 1 - (RAMP + 200) / 399),
    ({"WindowCenter": 0, "WindowWidth": 0}, (RAMP + 200) / 399),
])
def test_values_are_seen_through_the_window_of_the_file(tmp_path, fields, expected):
    image, shape = decode(write(tmp_path / "x.dcm", RAMP, **fields), "x")
    assert shape == (20, 20)
    assert np.abs(image[..., 0] - 255 * expected).max() <= 0.51


def test_pydicom_sees_the_same_through_a_window(tmp_path):
    path = write(tmp_path / "x.dcm", RAMP, WindowCenter=40, WindowWidth=80)
    theirs = pydicom.pixels.apply_voi_lut(RAMP, pydicom.dcmread(path)).astype(float)
    theirs = (theirs - theirs.min()) / (theirs.max() - theirs.min())
    assert np.abs(decode(path, "x")[0][..., 0] - 255 * theirs).max() <= 1


def test_colours_and_16_bits(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    assert np.array_equal(decode(write(tmp_path / "x.dcm", colours), "x")[0], colours)
    flat = np.full((9, 8), 7, np.uint16)
    assert decode(write(tmp_path / "x.dcm", flat), "x")[0].max() == 0, "one value is no range"


@pytest.mark.parametrize("limits", [None, Limits(isolate=True)])
def test_a_folder_of_dicom_files_is_read_frame_by_frame(tmp_path, limits):
    frames = np.stack([RAMP, RAMP[::-1], RAMP.T])
    write(tmp_path / "IM0002", RAMP[::-1].copy())
    write(tmp_path / "series.dcm", frames)
    (tmp_path / "broken.dcm").write_bytes((tmp_path / "series.dcm").read_bytes()[:900])
    source = open_source(tmp_path, limits=limits)
    assert [source.name(i) for i in range(len(source))] == [
        "IM0002", "broken.dcm", "broken.dcm#2", "broken.dcm#3", "series.dcm", "series.dcm#2", "series.dcm#3"]
    check_source(source)
    assert np.array_equal(source.read(0), source.read(5))
    assert np.array_equal(source.read(6)[..., 0], source.read(4)[..., 0].T)
    with pytest.raises(UnreadableImage):
        source.read(1)


def test_what_is_no_image_or_too_large_is_said(tmp_path):
    path = write(tmp_path / "x.dcm", RAMP)
    assert is_dicom(path.read_bytes())
    assert looks_like_image(path.read_bytes()[:132])
    assert count_frames(path) == count_frames(tmp_path / "none.dcm") == 1
    (tmp_path / "text.dcm").write_text("no DICOM file")
    assert count_frames(tmp_path / "text.dcm") == 1
    with pytest.raises(UnreadableImage, match="text, not an image"):
        decode(tmp_path / "text.dcm", "x")
    data = pydicom.dcmread(path)
    del data.PixelData
    data.save_as(tmp_path / "bare.dcm")
    with pytest.raises(UnreadableImage, match="without an image"):
        decode(tmp_path / "bare.dcm", "x")
    large = write(tmp_path / "large.dcm", np.zeros((400, 400), np.uint8))
    with pytest.raises(UnreadableImage, match="400 x 400 pixels would take"):
        decode(large, "x", memory=2**20)
    assert decode(large, "x", 16)[0].shape[0] < 400


def test_without_pydicom_the_way_out_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "x.dcm", RAMP)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    assert count_frames(path) == 1
    with pytest.raises(UnreadableImage, match=r"needs pydicom: pip install 'oddlens\[dicom\]'"):
        decode(path, "x")
