import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image
from starlette.testclient import TestClient

import oddlens
from oddlens.service.application import Service
from oddlens.service.scorer import Scorer, Upload
from service.test_metrics import values


def test_an_image_as_the_body_is_scored(client, scorer, photos):
    answer = client.post("/score?name=strange.png", content=photos["strange.png"],
                         headers={"content-type": "image/png"})
    assert answer.status_code == 200
    assert answer.json() == {"images": scorer.score([Upload("strange.png", photos["strange.png"])])}


def test_several_in_a_form_are_scored_in_their_order(client, scorer, photos):
    files = [("image", (name, content, "image/png")) for name, content in photos.items()]
    answer = client.post("/score", files=[*files, ("image", ("notes.txt", b"text"))])
    assert answer.status_code == 200
    said = answer.json()["images"]
    assert said[:3] == scorer.score([Upload(name, content) for name, content in photos.items()])
    assert said[3] == {"name": "notes.txt", "error": "text, not an image"}


def test_what_is_no_image_is_refused_with_the_reason(client, photos):
    for content, words in ((b"a line of text", "text, not an image"), (photos["plain.png"][:60], "ends early")):
        answer = client.post("/score?name=x", content=content)
        assert answer.status_code == 422
        assert words in answer.json()["error"]
        assert client.post("/heat", content=content).status_code == 422
    assert client.post("/score", data={"image": "x"}).status_code == 415
    assert client.post("/score", content=b"x" * 300_000).status_code == 413


def test_a_picture_that_would_take_too_much_is_refused(finished):
    from oddlens.reading.limits import Limits

    content = io.BytesIO()
    Image.new("L", (3000, 3000)).save(content, "PNG")
    service = Service(Scorer(finished / "run", n_jobs=1, limits=Limits(memory=2**22)))
    with TestClient(service.application()) as client:
        answer = client.post("/score", content=content.getvalue())
    service.close()
    assert answer.status_code == 422
    assert "memory" in answer.json()["error"]


def test_the_heat_map_is_a_picture(client, scorer, photos):
    answer = client.post("/heat", content=photos["strange.png"])
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == scorer.heat(Upload("image", photos["strange.png"]))
    assert client.post("/heat", files=[("image", photos["plain.png"])] * 2).status_code == 400


def test_where_nothing_stands_out_there_is_no_picture(client, scorer, photos, monkeypatch):
    monkeypatch.setattr(scorer, "heat", lambda upload: None)
    assert client.post("/heat", content=photos["plain.png"]).status_code == 204


def test_a_model_alone_offers_no_heat_map(finished, photos):
    service = Service(Scorer(finished / "run" / "model", n_jobs=1))
    with TestClient(service.application()) as client:
        assert client.post("/heat", content=photos["plain.png"]).status_code == 404
        assert "/heat" not in client.get("/openapi.json").json()["paths"]
        assert client.post("/score", content=photos["plain.png"]).status_code == 200
    service.close()


def test_health_and_metrics(client, scorer, photos):
    assert client.get("/health").json() == {"status": "ok", "version": oddlens.__version__, "fitted": scorer.fitted}
    client.post("/score", files=[("image", photos["strange.png"]), ("image", photos["plain.png"]), ("image", b"text")])
    client.post("/score", content=b"text")
    client.get("/nowhere")
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    told = values(answer.text)
    assert told["oddlens_images_total", '{result="flagged"}'] == 1
    assert told["oddlens_images_total", '{result="ordinary"}'] == 1
    assert told["oddlens_images_total", '{result="unreadable"}'] == 2
    assert told["oddlens_requests_total", '{path="/score",status="200"}'] == 1
    assert told["oddlens_requests_total", '{path="/score",status="422"}'] == 1
    assert told["oddlens_requests_total", '{path="other",status="404"}'] == 1
    assert told["oddlens_queue_requests", None] == 0


def test_other_addresses_and_methods_are_refused_as_json(client):
    assert client.get("/nowhere").json() == {"error": "Not Found"}
    answer = client.get("/score")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


class Held:
    """A scorer whose work waits until it is let go."""

    memory, views, fitted = object(), [], 5

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()

    def score(self, uploads):
        self.begun.set()
        self.go.wait()
        return [{"name": upload.name, "flagged": False} for upload in uploads]


@pytest.fixture
def held():
    held = Held()
    yield held
    held.go.set()


def test_who_finds_it_full_is_told_when_to_come_back(held):
    service = Service(held, most_inside=3)
    with TestClient(service.application()) as client, ThreadPoolExecutor(3) as pool:
        inside = [pool.submit(client.post, "/score", content=b"x") for _ in range(3)]
        while service.admission.inside < 3:
            held.begun.wait(0.01)
        answer = client.post("/score", content=b"x")
        assert answer.status_code == 503
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert client.get("/health").status_code == 200, "it is busy, not ill"
        held.go.set()
        assert [future.result().status_code for future in inside] == [200] * 3
        assert client.post("/score", content=b"x").status_code == 200
    service.close()


def test_what_takes_too_long_is_given_up(held):
    service = Service(held, seconds=0.05)
    with TestClient(service.application()) as client:
        assert client.post("/score", content=b"x").status_code == 504
        assert service.admission.inside == 0
        held.go.set()
    service.close()


def test_a_body_that_does_not_come_is_given_up(held):
    import asyncio

    service = Service(held, seconds=0.05)
    sent = []

    async def never():
        await asyncio.sleep(3600)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/score", "raw_path": b"/score", "root_path": "",
             "query_string": b"", "headers": [(b"host", b"x")], "http_version": "1.1", "scheme": "http"}
    asyncio.run(service.application()(scope, never, send))
    assert sent[0]["status"] == 408
    assert service.admission.inside == 0
    service.close()


def test_a_bug_is_said_without_its_inside(held, monkeypatch):
    def broken(uploads):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(held, "score", broken)
    service = Service(held)
    with TestClient(service.application(), raise_server_exceptions=False) as client:
        answer = client.post("/score", content=b"x")
        assert answer.status_code == 500
        assert "ZeroDivisionError" in answer.json()["error"]
        assert "secret" not in answer.text
        assert service.admission.inside == 0
    service.close()


def test_many_at_once_are_all_answered_as_alone(finished, scorer, photos):
    service = Service(scorer, most_inside=100)
    alone = {name: scorer.score([Upload(name, content)])[0] for name, content in photos.items()}
    with TestClient(service.application()) as client, ThreadPoolExecutor(8) as pool:
        names = list(photos) * 8
        answers = list(pool.map(lambda name: client.post(f"/score?name={name}", content=photos[name]), names))
    service.close()
    assert [answer.json()["images"] for answer in answers] == [[alone[name]] for name in names]
