import pytest
from starlette.testclient import TestClient

import runs
from oddlens.explaining import orientation
from oddlens.service.application import Service
from oddlens.service.scorer import Scorer


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A folder with a finished run beside its photos, to be read alone."""
    with pytest.MonkeyPatch.context() as patch:  # which way is up is not what these tests are about
        patch.setattr(orientation, "EPOCHS", 0)
        patch.setattr(orientation, "FEWEST_STEPS", 10)
        return runs.make(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def photos(finished):
    """The contents of new images by their names: two of the fitted kind, changed, and one that is strange."""
    return runs.new_photos(finished / "photos")


@pytest.fixture(scope="session")
def scorer(finished):
    return Scorer(finished / "run", n_jobs=1)


@pytest.fixture
def service(scorer):
    service = Service(scorer, most_bytes=200_000)
    yield service
    service.close()


@pytest.fixture
def client(service):
    with TestClient(service.application()) as client:
        yield client
