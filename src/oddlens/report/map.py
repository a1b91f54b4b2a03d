"""A map of the collection: similar images lie together, the flagged ones are marked.

It is a fragment of HTML for a page of ours: it loads nothing, its style keeps to itself, and without its script it is
still a picture whose points say their names. The positions are those of t-SNE: van der Maaten, Hinton,
*Visualizing data using t-SNE*, 2008; started from the principal components: Kobak, Berens, *The art of using t-SNE for
single-cell transcriptomics*, 2019.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from oddlens.errors import OptionError, UnreadableImage
from oddlens.protocols import Doubles, Floats
from oddlens.ranking import RankedImage, Ranking
from oddlens.reading.decoding import as_picture
from oddlens.report.html import fill, script
from oddlens.report.neighbor_embedding import embedded
from oddlens.thumbnails import data_uri

MOST_IMAGES = 1000  # images on the map
MOST_MARKED = 300  # images on the map that are marked
MARKED_UNFLAGGED = 20  # images marked where none is flagged
COMPONENTS, PERPLEXITY, STEPS = 50, 30, 500  # of t-SNE; more steps change little that is visible at this size
FEWEST_EMBEDDED = 20  # images; fewer are laid out by their two main directions alone
LARGEST_THUMBNAIL, SMALLEST_THUMBNAIL = 48, 24  # pixels a side of a thumbnail
THUMBNAILS_ACROSS = 32  # thumbnails in a row of the sheet
MOST_BYTES = 800_000  # bytes of the sheet, before base64 makes them a third larger
QUALITIES = (75, 55, 40, 25)  # JPEG qualities of the sheet, tried in this order
GROUND = 128  # grey around an image that is no square; it suits light and dark
MARGIN = (4.5, 7.0)  # per cent of the map's width and height between points and its rim, so that pictures fit
PICTURE_WIDTH = 6.0  # width of a picture on the map, in per cent of the map's
MOST_PICTURED = 80  # pictures on the map
ASPECT_RATIO = 4 / 3  # width of the map by its height, as drawn on a wide screen
SCRIPT = script("map.js")

Reader = Callable[[int], NDArray[np.uint8]]


@dataclass(frozen=True)
class Point:
    """One image on the map.

    place:  its number in the sheet of thumbnails.
    x, y:   per cent of the map's width and height.
    shown:  whether its picture is drawn on the map, not only a dot or a mark.
    group:  the number of the group of images alike that it is in, from 1; 0: none.
    alike:  how many images that group has.
    """

    image: RankedImage
    place: int
    x: float
    y: float
    marked: bool
    shown: bool
    group: int
    alike: int


def choose(ranking: Ranking, most: int = MOST_IMAGES, random_state: int = 0) -> NDArray[np.int64]:
    """(m,) the rows of the images that a map shows: those to be marked, strangest first, then others at random.

    Marked are the flagged ones, at most 300 and three tenths of ``most``, or where none is flagged the 20 strangest.
    The others are drawn from those not flagged. The same for the same ``random_state``.
    """
    if most < 1:
        raise OptionError(f"most takes a number of images of 1 or more, got {most}.")
    marked, decided = _marked(ranking, most)
    rest = np.setdiff1d(np.flatnonzero(~np.asarray(ranking.flagged, bool)) if decided else np.arange(len(ranking)),
                        marked)
    count = min(most - len(marked), len(rest))
    drawn = np.sort(np.random.default_rng(random_state).choice(rest, count, replace=False)) if count else rest[:0]
    return np.concatenate([marked, drawn]).astype(np.int64)


def lay_out(embedding: Floats, chosen: NDArray[np.integer[Any]]) -> Doubles:
    """(m, 2) a place in 0..1 for each of the images ``chosen``, (m,) rows of (n, d) features; those alike lie together.

    t-SNE with perplexity 30 on the 50 main directions of the chosen rows, started from the first two; of fewer than 20
    images, or where all are the same, those two alone. One thread, so the same each time on one machine. For more
    than some 1,000 images it is slow. Raises ``OptionError`` for rows that are not there or not finite.
    """
    rows = np.asarray(chosen, np.int64).ravel()
    if embedding.ndim != 2 or (len(rows) and not (rows.min() >= 0 and rows.max() < len(embedding))):
        raise OptionError(f"lay_out needs rows of an embedding (n, d), got rows from {min(rows, default=0)} to "
                          f"{max(rows, default=-1)} of an array {embedding.shape}.")
    features = np.asarray(embedding[rows], np.float64)
    if not np.isfinite(features).all():
        raise OptionError("lay_out needs finite features; the embedding holds nan or infinity.")
    features = features / (np.abs(features).max(initial=0.0) or 1.0)  # so that squares neither overflow nor vanish
    if not len(rows) or not np.ptp(features, axis=0).any():
        return np.full((len(rows), 2), 0.5)
    with threadpool_limits(1):  # sums on several threads differ in their last digits, and t-SNE makes those large
        return _spread(_laid(features))


def map_fragment(
    ranking: Ranking, chosen: NDArray[np.integer[Any]], positions: Doubles, read: Reader,
    groups: Mapping[int, int] | None = None, title: str = "A map of the collection",
) -> str:
    """The map as HTML, for the body of a page whose policy allows ``SCRIPT`` (see ``page.digest``). One a page.

    chosen:     (m,) rows of the ranking, as from ``choose``.
    positions:  (m, 2) their places in 0..1, as from ``lay_out``.
    read:       gives the picture of a row, as uint8 (height, width, 1 or 3); one that raises ``UnreadableImage`` is
                shown as a crossed square. It is called once for each chosen row.
    groups:     row -> the number of its group of images alike; those alone in theirs may be left out.

    All thumbnails together take less than 1.5 MB of the fragment, the points some 250 bytes each.
    Raises ``OptionError`` where shapes do not fit.
    """
    rows = np.asarray(chosen, np.int64).ravel()
    places = np.asarray(positions, np.float64)
    if places.shape != (len(rows), 2) or not np.isfinite(places).all() or len(set(rows.tolist())) != len(rows):
        raise OptionError(f"map_fragment needs each row once with a finite place, got {len(rows)} rows and places "
                          f"{places.shape}.")
    points = _points(ranking, rows, places, groups or {})
    pictures = [_small(read, point.image.index) for point in points]
    marked = sorted((point for point in points if point.marked), key=lambda point: point.image.rank)
    flagged = 0 if ranking.flagged is None else int(np.count_nonzero(ranking.flagged))
    return fill(
        "map.html", title=title, points=points, marked=marked, count=len(ranking), flagged=flagged, script=SCRIPT,
        first=min(marked or points, key=lambda point: point.image.rank, default=None),
        sheet=_sheet(pictures), across=THUMBNAILS_ACROSS, down=_rows(pictures),
        width=PICTURE_WIDTH, height=PICTURE_WIDTH * ASPECT_RATIO,
        pictures=[data_uri(_jpeg(picture, QUALITIES[0]), "jpeg") if point.shown else ""
                  for point, picture in zip(points, pictures, strict=True)],
    )


def _marked(ranking: Ranking, most: int = MOST_IMAGES) -> tuple[NDArray[np.int64], bool]:
    """The rows to mark, the strangest first, and whether they are flagged ones."""
    order = ranking.order()
    if ranking.flagged is not None and np.any(ranking.flagged):
        limit = max(1, min(MOST_MARKED, most * MOST_MARKED // MOST_IMAGES))
        return order[np.asarray(ranking.flagged, bool)[order]][:limit], True
    return order[:min(MARKED_UNFLAGGED, most)], False


def _laid(features: Doubles) -> Doubles:
    """(m, 2) of (m, d), in any unit."""
    flat = PCA(min(COMPONENTS, *features.shape), svd_solver="full").fit_transform(features)
    flat = np.asarray(flat if flat.shape[1] > 1 else np.hstack([flat, np.zeros_like(flat)]), np.float64)
    spread = flat[:, 0].std()
    if len(flat) < FEWEST_EMBEDDED or not spread > 0:
        return flat[:, :2]
    perplexity = min(PERPLEXITY, (len(flat) - 1) / 3)
    return embedded(flat, flat[:, :2] / spread * 1e-4, perplexity, STEPS)


def _spread(flat: Doubles) -> Doubles:
    """Places stretched to 0..1 each way; the middle where they do not differ."""
    low, width = flat.min(0), np.ptp(flat, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(np.where(width > 1e-9, (flat - low) / width, 0.5), 0, 1)


def _points(ranking: Ranking, rows: NDArray[np.int64], places: Doubles, groups: Mapping[int, int]) -> list[Point]:
    """The points in the order in which they are drawn, the later over the earlier: ordinary dots first."""
    strangest, decided = _marked(ranking)
    marked = np.asarray(ranking.flagged, bool)[rows] if decided else np.isin(rows, strangest)
    margin = np.array(MARGIN)
    percent = margin + (100 - 2 * margin) * np.clip(places, 0, 1)
    shown = _pictured(percent, marked, ranking.ranks()[rows])
    sizes = Counter(groups.values())
    # Dots, then pictures of ordinary ones, then marks, and over all the strangest.
    order = np.lexsort((-ranking.ranks()[rows], shown, marked))
    points = []
    for place, i in enumerate(order):
        row = int(rows[i])
        number = groups.get(row)
        alike = sizes[number] if number is not None else 1
        points.append(Point(ranking.image(row), place, round(float(percent[i, 0]), 2), round(float(percent[i, 1]), 2),
                            bool(marked[i]), bool(shown[i]), number + 1 if number is not None and alike > 1 else 0,
                            alike))
    return points


def _pictured(percent: Doubles, marked: NDArray[np.bool_], ranks: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """(m,) which points have room for a picture: the strangest marked first, then ordinary ones with more room."""
    shown = np.zeros(len(percent), bool)
    taken = np.empty((0, 2))
    for i in np.lexsort((ranks, ~marked)):
        if len(taken) == MOST_PICTURED:
            break
        room = PICTURE_WIDTH * (1.1 if marked[i] else 1.5)
        if not len(taken) or (np.abs(taken - percent[i]) >= (room, room * ASPECT_RATIO)).any(1).all():
            shown[i], taken = True, np.vstack([taken, percent[i]])
    return shown


def _small(read: Reader, row: int) -> Image.Image:
    """A thumbnail; a crossed square where the image can no longer be read."""
    try:
        picture = as_picture(read(row))
    except UnreadableImage:
        return _crossed(SMALLEST_THUMBNAIL)
    picture.thumbnail((LARGEST_THUMBNAIL, LARGEST_THUMBNAIL), Image.Resampling.LANCZOS, reducing_gap=3)
    return picture


def _sheet(pictures: Sequence[Image.Image]) -> str:
    """All thumbnails in one JPEG, as a data URI; smaller, then coarser, until they keep to the budget."""
    longest = max((max(picture.size) for picture in pictures), default=SMALLEST_THUMBNAIL)
    content = b""
    sides = (LARGEST_THUMBNAIL, 40, 32, SMALLEST_THUMBNAIL)
    for side in dict.fromkeys(max(min(longest, side), SMALLEST_THUMBNAIL) for side in sides):
        sheet = _tiled(pictures, side)
        for quality in QUALITIES:
            content = _jpeg(sheet, quality)
            if len(content) <= MOST_BYTES:
                return data_uri(content, "jpeg")
    return data_uri(content, "jpeg")


def _rows(pictures: Sequence[Image.Image]) -> int:
    return max(1, -(-len(pictures) // THUMBNAILS_ACROSS))


def _tiled(pictures: Sequence[Image.Image], side: int) -> Image.Image:
    """The pictures in rows of ``THUMBNAILS_ACROSS``, each in the middle of a square of ``side`` pixels."""
    grey = all(picture.mode == "L" for picture in pictures)
    size = (THUMBNAILS_ACROSS * side, _rows(pictures) * side)
    sheet = Image.new("L", size, GROUND) if grey else Image.new("RGB", size, (GROUND, GROUND, GROUND))
    for place, picture in enumerate(pictures):
        factor = side / max(picture.size)
        width, height = (max(1, round(length * factor)) for length in picture.size)
        shown = picture.resize((width, height), Image.Resampling.LANCZOS)
        x, y = place % THUMBNAILS_ACROSS * side, place // THUMBNAILS_ACROSS * side
        sheet.paste(shown, (x + (side - width) // 2, y + (side - height) // 2))
    return sheet


def _crossed(side: int) -> Image.Image:
    """What stands for an image that can no longer be read."""
    cross = np.eye(side, dtype=bool) | np.eye(side, dtype=bool)[::-1]
    return Image.fromarray(np.where(cross, 255, GROUND).astype(np.uint8))


def _jpeg(sheet: Image.Image, quality: int) -> bytes:
    content = io.BytesIO()
    sheet.save(content, "JPEG", quality=quality, optimize=True)
    return content.getvalue()
