import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from oddlens.review.server import hosts
from oddlens.service.gate import Gate

TOKEN = "a-token-of-this-service"


def client(token=None, names=None):
    async def application(scope, receive, send):
        await PlainTextResponse("let in")(scope, receive, send)

    return TestClient(Gate(application, token, names), base_url="http://127.0.0.1:8000")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "[::1", "a@127.0.0.1",
                                  "192.168.1.7"])
def test_on_this_machine_it_is_asked_for_by_its_own_name_alone(host):
    here = client(names=hosts("127.0.0.1"))
    assert here.get("/score", headers={"host": host}).status_code == 421
    for own in ("127.0.0.1:8000", "localhost", "[::1]:8000"):
        assert here.get("/score", headers={"host": own}).status_code == 200
    assert client().get("/score", headers={"host": "oddlens.cluster.local"}).status_code == 200


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-site", 403), ("none", 200),
                                              ("same-origin", 200)])
def test_pages_of_other_sites_are_refused(site, status):
    assert client().post("/score", headers={"sec-fetch-site": site}).status_code == status


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x",
                                   "Bearer \xfc"])
def test_without_the_token_nobody_is_let_in(shown):
    answer = client(TOKEN).post("/score", headers={"authorization": shown.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "Authorization: Bearer" in answer.json()["error"]


def test_with_the_token_and_to_its_health_everybody_is():
    here = client(TOKEN)
    for way in (f"Bearer {TOKEN}", f"bearer  {TOKEN} "):
        assert here.post("/score", headers={"authorization": way}).status_code == 200
    assert here.get("/health").status_code == 200
    assert here.get("/metrics").status_code == 401


def test_a_long_address_is_refused_and_nothing_is_to_be_kept():
    assert client().get("/score?" + "x" * 3000).status_code == 414
    headers = client().get("/score").headers
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
