import pytest

import held
import messy


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return messy.make(tmp_path_factory.mktemp("messy") / "photos")


@pytest.fixture(scope="module")
def in_folder(tmp_path_factory):
    """The folder of ``held.pictures``, two subfolders of PNG files in their order, and the scores of its images."""
    folder = tmp_path_factory.mktemp("held")
    for number, picture in enumerate(held.pictures()):
        path = folder / ("a" if number < 10 else "b") / f"{number:02d}.png"
        path.parent.mkdir(exist_ok=True)
        picture.save(path)
    return folder, held.scores(folder)
