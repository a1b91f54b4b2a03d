"""A folder of images, walked with its subfolders."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

from oddlens.errors import SourceError
from oddlens.reading import video
from oddlens.reading.decoding import HEAD_BYTES, looks_like_image
from oddlens.reading.limits import Limits
from oddlens.result_marks import SUMMARIES, is_marked
from oddlens.sources.image_files import IMAGE_SUFFIXES, FileSource, with_pages

OTHERS, VIDEOS = "other files", "videos"
LINKS, RESULTS = "links that lead out of the folder", "folders of results of oddlens"


def open_folder(root: Path, follow_links: bool, limits: Limits | None) -> FileSource:
    """All images below a folder, in the order of their paths, told by content."""
    if is_marked(root):
        raise SourceError(f"{root} holds results of oddlens, not images: give the folder of the images themselves.")
    found: list[tuple[str, Path]] = []
    passed_over: Counter[str] = Counter()
    for path in _walk(root, follow_links, passed_over):
        if _is_meant_as_image(path):
            found.append((path.relative_to(root).as_posix(), path))
        else:
            passed_over[VIDEOS if path.suffix.lower() in video.SUFFIXES else OTHERS] += 1
    if not found:
        beside = ", ".join(f"{count} {what}" for what, count in passed_over.items())
        way = " Links are followed with --follow-links." if passed_over[LINKS] else ""
        if passed_over[VIDEOS]:
            way += f" The frames of videos are ranked where these are named, like '{root}/*.mp4'."
        raise SourceError(f"{root} holds no images{f' (passed over: {beside})' if beside else ''}. Give a folder with "
                          f"images in it or below it.{way}")
    found.sort(key=lambda pair: os.fsencode(pair[0]))
    return with_pages([path for _, path in found], [name for name, _ in found], root, passed_over, limits)


def _leads_out(path: Path, root: Path) -> bool:
    """Whether a link leads out of a folder whose own links are resolved."""
    try:
        return not path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a link to itself leads nowhere
        return False


def _walk(root: Path, follow_links: bool, passed_over: Counter[str]) -> Iterator[Path]:
    """Files below a folder, hidden ones left out, and the folders there that cannot be listed.

    Every folder is listed once: under its own path where it lies below ``root``, otherwise under the first link that
    leads to it. Links that lead out of ``root`` are counted and left, unless they are to be followed, and so are
    folders of results. So neither links that lead back up nor folders full of links to each other go on for ever, and
    no image is counted twice because its folder has two names.
    """
    real = root.resolve()
    seen = {_identity(folder) for folder in real.parents}  # a link up there comes round to root again
    folders, links = [root], deque[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.popleft()
        try:
            if (here := _identity(folder)) in seen:
                continue
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            if folder is root:
                raise SourceError(f"{folder} cannot be listed: {error.strerror or error}.") from error
            yield folder
            continue
        seen.add(here)
        if any(entry.name in SUMMARIES.values() for entry in entries) and is_marked(folder):
            passed_over[RESULTS] += 1
            continue
        below = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = folder / entry.name
            if not follow_links and entry.is_symlink() and _leads_out(path, real):
                passed_over[LINKS] += 1
                continue
            if not _is_folder(entry):
                yield path
            elif entry.is_symlink():
                links.append(path)
            else:
                below.append(path)
        folders += reversed(below)


def _identity(folder: Path) -> tuple[int, int]:
    """What a folder is, whatever path leads to it."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or one that leads where we may not look
        return False


def _is_meant_as_image(path: Path) -> bool:
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        if not path.is_file():
            return path.is_dir()  # one that cannot be listed: said, not passed over
        with path.open("rb") as file:
            return looks_like_image(file.read(HEAD_BYTES))
    except OSError:
        return False
