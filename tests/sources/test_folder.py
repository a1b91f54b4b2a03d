import inspect
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from held import names
from oddlens.errors import OutputError, SourceError, UnreadableImage
from oddlens.reading.decoding import looks_like_image
from oddlens.result_marks import require_outside
from oddlens.sources import open_source


def test_a_folder_is_walked_in_the_order_of_its_paths(folder):
    found = names(open_source(folder))
    # The name that is not UTF-8 sorts by its bytes, which come last; shown by their escapes, they would not.
    assert found[-1] == "\\xff\\xfe.png"
    assert found[:-1] == sorted(found[:-1], key=str.encode)
    assert "deep/er/rgb.png" in found
    assert "two\\nlines.png" in found, "control characters are shown by their escapes"
    assert "猫 é.png" in found
    assert "\\xff\\xfe.png" in found
    assert names(open_source(folder)) == found


def test_the_order_does_not_come_from_the_system(folder, monkeypatch):
    expected = names(open_source(folder))
    real = os.scandir

    class Backwards:
        def __init__(self, path):
            with real(path) as listing:
                self.entries = sorted(listing, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    assert names(open_source(folder)) == expected


def test_files_are_told_by_content_and_by_claim(folder):
    source = open_source(folder)
    found = names(source)
    assert "wrong-suffix.txt" in found
    assert "no-suffix" in found
    assert "bad-text.png" in found, "it claims to be an image: listed, not passed over"
    assert "notes.md" not in found
    assert source.passed_over == {"other files": 2}, "notes.md, and a link to itself that claims nothing"
    assert source.skipped == 2
    assert source.root == folder


def test_hidden_files_and_circles_are_left_out(folder):
    found = names(open_source(folder))
    assert not [name for name in found if "hidden" in name or "circle/" in name]
    assert found.count("linked.png") == 1
    assert len(found) == len(set(found))


def test_folders_full_of_links_to_each_other_are_listed_once_each(tmp_path):
    for letter in "abcdefgh":
        (tmp_path / letter).mkdir()
        (tmp_path / letter / "x.png").write_bytes(b"")
        for other in "abcdefgh".replace(letter, ""):
            (tmp_path / letter / f"to-{other}").symlink_to(tmp_path / other)
        (tmp_path / letter / "up").symlink_to(tmp_path)
    assert names(open_source(tmp_path)) == [f"{letter}/x.png" for letter in "abcdefgh"]


def test_a_folder_keeps_its_own_name_whatever_links_to_it(tmp_path):
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "x.png").write_bytes(b"")
    (tmp_path / "a-link").symlink_to(tmp_path / "z")
    assert names(open_source(tmp_path)) == ["z/x.png"]


def test_a_folder_elsewhere_is_named_by_the_first_of_its_links(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.png").write_bytes(b"")
    for letter in "cab":
        (tmp_path / "photos" / letter).mkdir(parents=True)
        (tmp_path / "photos" / letter / "link").symlink_to(tmp_path / "elsewhere")
    assert names(open_source(tmp_path / "photos", follow_links=True)) == ["a/link/x.png"]


def test_folders_may_lie_deeper_than_calls_may(tmp_path):
    # With fewer calls allowed instead of a thousand folders, which pytest could not remove afterwards.
    place = tmp_path.joinpath(*["d"] * 150)
    place.mkdir(parents=True)
    (place / "x.png").write_bytes(b"")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        source = open_source(tmp_path)
    finally:
        sys.setrecursionlimit(limit)
    assert names(source) == ["d/" * 150 + "x.png"]


def test_a_folder_that_cannot_be_listed_is_said(tmp_path, monkeypatch):
    (tmp_path / "shut").mkdir()
    (tmp_path / "x.png").write_bytes(b"")
    real = os.scandir

    def scandir(path):
        if os.fspath(path) == str(tmp_path / "shut"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    source = open_source(tmp_path)
    assert names(source) == ["shut", "x.png"]
    with pytest.raises(UnreadableImage, match="a folder that cannot be listed: Permission denied"):
        source.read(0)
    with pytest.raises(SourceError, match="shut cannot be listed: Permission denied"):
        open_source(tmp_path / "shut")


@given(st.binary(max_size=16))
def test_telling_images_by_content_never_fails(head):
    assert looks_like_image(head) in (True, False)


def test_places_without_images(tmp_path):
    with pytest.raises(SourceError, match="holds no images"):
        open_source(tmp_path)
    (tmp_path / "notes.txt").write_text("hello\n")
    with pytest.raises(SourceError, match="1 other files"):
        open_source(tmp_path)
    with pytest.raises(SourceError, match="none of its 1 lines"):
        open_source(tmp_path / "notes.txt")
    with pytest.raises(SourceError, match=r"Did you mean .*notes\.txt"):
        open_source(tmp_path / "note.txt")


def test_links_out_of_the_folder_are_followed_only_if_asked_for(folder, tmp_path):
    (tmp_path / "own.png").write_bytes(b"")
    (tmp_path / "also.png").symlink_to("own.png")
    (tmp_path / "linked").symlink_to(folder / "deep" / "er", target_is_directory=True)
    (tmp_path / "secret.png").symlink_to(folder / "bmp.bmp")
    source = open_source(tmp_path)
    assert names(source) == ["also.png", "own.png"]
    assert source.passed_over == {"links that lead out of the folder": 2}
    assert names(open_source(tmp_path, follow_links=True)) == ["also.png", "linked/rgb.png", "own.png", "secret.png"]
    (tmp_path / "also.png").unlink()
    (tmp_path / "own.png").unlink()
    with pytest.raises(SourceError, match=r"2 links that lead out .* --follow-links"):
        open_source(tmp_path)


def test_a_folder_that_is_a_link_itself_is_opened(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert len(open_source(tmp_path / "link")) == len(open_source(folder))


def test_our_own_results_are_never_taken_for_images(folder, tmp_path):
    for name, summary, kind in (("run", "run.json", "oddlens-run"), ("measured", "summary.json", "oddlens-evaluation")):
        (tmp_path / name).mkdir()
        (tmp_path / name / summary).write_text(f'{{"format": "{kind}"}}')
        (tmp_path / name / "gallery.png").write_bytes((folder / "bmp.bmp").read_bytes())
        with pytest.raises(SourceError, match="holds results of oddlens"):
            open_source(tmp_path / name)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run.json").write_text('{"format": "of another"}')
    for i in range(3):
        (tmp_path / "other" / f"{i}.png").write_bytes((folder / "bmp.bmp").read_bytes())
    source = open_source(tmp_path)
    assert names(source) == ["other/0.png", "other/1.png", "other/2.png"]
    assert source.passed_over == {"other files": 1, "folders of results of oddlens": 2}
    listed = open_source([tmp_path / "run" / "gallery.png", tmp_path / "other" / "0.png"])
    assert listed.read(1).shape == (32, 48, 3)
    with pytest.raises(UnreadableImage, match="that oddlens made"):
        listed.read(0)


def test_results_do_not_land_in_any_folder_that_images_come_from(folder, tmp_path):
    source = open_source([folder / "bmp.bmp", folder / "deep" / "er" / "rgb.png"])
    for place in (folder, folder / "oddlens-run", folder / "deep" / "er" / "x"):
        with pytest.raises(OutputError, match="never written to"):
            require_outside(place, source)
    require_outside(tmp_path / "run", source)
    require_outside(folder.parent / "run", source)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(OutputError, match="never written to"):
        require_outside(tmp_path / "link" / "run", source)
