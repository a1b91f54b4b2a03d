import struct

import numpy as np
import pytest
from PIL import Image

from oddlens.reading.tiff_pages import MOST_PAGES, count_pages


def tiff(tmp_path, directories, order="<"):
    """A TIFF of nothing but directories: for each its entries (tag, value) and which directory is the next, if any."""
    sizes = [2 + 12 * len(entries) + 4 for entries, _ in directories]
    places = [8 + sum(sizes[:number]) for number in range(len(directories))]
    content = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, places[0])
    for entries, following in directories:
        content += struct.pack(f"{order}H", len(entries))
        for tag, value in entries:
            content += struct.pack(f"{order}HHII", tag, 4, 1, value)
        content += struct.pack(f"{order}I", 0 if following is None else places[following])
    (tmp_path / "x.tif").write_bytes(content)
    return tmp_path / "x.tif"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("pages", [1, 2, 5])
def test_pages_are_counted_by_their_directories(tmp_path, pages, order):
    chain = [([(256, 8)], number + 1 if number + 1 < pages else None) for number in range(pages)]
    assert count_pages(tiff(tmp_path, chain, order)) == pages


def test_real_pages_are_counted(tmp_path):
    pictures = [Image.fromarray(np.full((4, 4), level, np.uint8)) for level in (10, 20, 30)]
    pictures[0].save(tmp_path / "three.tif", save_all=True, append_images=pictures[1:])
    assert count_pages(tmp_path / "three.tif") == 3


@pytest.mark.parametrize(("kind", "expected"), [(0, 3), (2, 3), (1, 1), (4, 1), (5, 1)])
def test_a_smaller_copy_or_a_mask_ends_the_pages(tmp_path, kind, expected):
    chain = [([(256, 8)], 1), ([(254, kind), (256, 4)], 2), ([(256, 8)], None)]
    assert count_pages(tiff(tmp_path, chain)) == expected


def test_a_first_page_that_calls_itself_a_copy_is_still_a_page(tmp_path):
    assert count_pages(tiff(tmp_path, [([(254, 1)], 1), ([(256, 8)], None)])) == 2


def test_circles_end(tmp_path):
    assert count_pages(tiff(tmp_path, [([(256, 8)], 1), ([(256, 8)], 0)])) == 2
    assert count_pages(tiff(tmp_path, [([(256, 8)], 0)])) == 1
    assert MOST_PAGES == 10_000


@pytest.mark.parametrize("content", [b"", b"II*\0", b"II*\0\x08\0\0\0", b"PNG", b"II+\0\x08\0\0\0\0\0\0\0",
                                     b"II*\0\x08\0\0\0\xff\xff" + b"\0" * 40])
def test_what_cannot_be_told_is_one_page(tmp_path, content):
    (tmp_path / "x.tif").write_bytes(content)
    assert count_pages(tmp_path / "x.tif") == 1
    assert count_pages(tmp_path / "gone.tif") == 1
