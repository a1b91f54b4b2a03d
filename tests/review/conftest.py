import shutil

import pytest

import runs
from oddlens.explaining import orientation
from oddlens.review.labels import LabelStore
from oddlens.review.opened_run import OpenedRun
from oddlens.review.queue import Queue
from serving import Server, elsewhere


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished run beside its photos, to be read alone."""
    with pytest.MonkeyPatch.context() as patch:  # which way is up is not what these tests are about
        patch.setattr(orientation, "EPOCHS", 0)
        patch.setattr(orientation, "FEWEST_STEPS", 10)
        return runs.make(tmp_path_factory.mktemp("reviewed"))


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the run that may be written into; its images stay where they are."""
    shutil.copytree(finished / "run", tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="session")
def opened(finished):
    return OpenedRun(finished / "run")


@pytest.fixture
def store(tmp_path):
    store = LabelStore(tmp_path / "review.sqlite")
    yield store
    store.close()


@pytest.fixture
def queue(opened, store):
    queue = Queue(opened, store)
    yield queue
    queue.close()


@pytest.fixture
def served(opened, tmp_path):
    with Server(elsewhere(opened, tmp_path)) as server:
        yield server
