import io
import threading

import numpy as np
import pytest
from PIL import Image

from oddlens.errors import UnreadableImage
from oddlens.review.pictures import Busy, Pictures, encoded


def opened_picture(made):
    return np.asarray(Image.open(io.BytesIO(made.content)))


def test_small_and_large_are_of_the_image(opened):
    pictures, row = Pictures(opened), opened.row_of["02.png"]
    whole = opened.images.read(row)
    assert pictures.full(row).kind == "image/png", "so small that every pixel is kept"
    assert np.array_equal(opened_picture(pictures.full(row)), whole)
    assert opened_picture(pictures.thumbnail(row)).shape == (48, 64, 3)


def test_what_is_large_comes_reduced_and_carries_nothing_of_its_file():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 500, 3), dtype=np.uint8))
    picture.info["comment"] = b"secret"
    made = encoded(picture, 80)
    assert made.kind == "image/jpeg"
    assert b"secret" not in made.content
    assert opened_picture(made).shape == (300, 500, 3)


def test_heat_is_drawn_over_the_image_at_a_size_to_look_at(opened):
    pictures, row = Pictures(opened), opened.row_of["more/17.png"]
    image = opened_picture(pictures.heat(row))
    assert max(image.shape[:2]) > 300
    assert image.shape[2] == 3


def test_what_cannot_be_read_raises(opened, monkeypatch):
    def broken(row, side):
        raise UnreadableImage("x", "gone")

    monkeypatch.setattr(opened.images, "read_near", broken)
    with pytest.raises(UnreadableImage):
        Pictures(opened).thumbnail(0)


def test_pictures_are_made_once_and_no_more_are_kept_than_there_is_room_for(opened, monkeypatch):
    made = []
    read = opened.images.read_near
    monkeypatch.setattr(opened.images, "read_near", lambda row, side: made.append(row) or read(row, side))
    pictures = Pictures(opened, most_bytes=20_000)
    for _ in range(3):
        pictures.thumbnail(1)
    assert made == [1]
    for row in range(20):
        pictures.thumbnail(row)
    pictures.thumbnail(1)
    assert made.count(1) == 2, "it had to make room"


def test_who_waits_for_a_heat_map_while_another_is_asked_for_is_told_to_come_back(opened, monkeypatch):
    pictures = Pictures(opened)
    begun, go, told = threading.Event(), threading.Event(), []
    heat = opened.heat

    def slow(row):
        begun.set()
        go.wait(30)
        return heat(row)

    monkeypatch.setattr(opened, "heat", slow)

    def ask(row):
        try:
            told.append((row, pictures.heat(row).kind))
        except Busy:
            told.append((row, "busy"))

    rows = [opened.row_of["more/17.png"], opened.row_of["more/29.png"], opened.row_of["more/41.png"]]
    threads = [threading.Thread(target=ask, args=(row,)) for row in rows]
    threads[0].start()
    begun.wait(30)
    for thread in threads[1:]:
        thread.start()
        while pictures.heats < threads.index(thread) + 1:
            pass
    go.set()
    for thread in threads:
        thread.join()
    assert dict(told)[rows[1]] == "busy"
    assert {dict(told)[rows[0]], dict(told)[rows[2]]} == {"image/jpeg"}
