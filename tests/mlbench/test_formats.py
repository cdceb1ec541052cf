"""Paths, methods, formats and who may ask."""

import re

import pytest

from tests.e2e.conftest import Start
from tests.mlbench.talk import OLD, Mlbench


@pytest.mark.parametrize("root", ["/api", "/mlbench/api"])
def test_the_root_names_the_collections(idle: Mlbench, root: str) -> None:
    for slash in ("", "/"):
        reply = idle.client.get(root + slash)
        assert reply.status_code == 200
        url = f"{idle.server.url_http}{root}"
        assert reply.json() == {name: f"{url}/{name}/" for name in ("pods", "runs", "metrics")}


@pytest.mark.parametrize("path", ["/pods", "/runs", "/metrics", "/images", ""])
def test_every_place_answers_with_and_without_a_slash(idle: Mlbench, path: str) -> None:
    for place in (path, f"{path}/"):
        assert idle.get(place).status_code == 200
        head = idle.request("HEAD", place)
        assert (head.status_code, head.content) == (200, b"")
        options = idle.request("OPTIONS", place)
        assert options.status_code == 200
        assert "application/json" in options.json()["parses"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/pods/", "GET, HEAD, OPTIONS"),
        ("DELETE", "/runs/", "GET, POST, HEAD, OPTIONS"),
        ("PUT", "/runs/1/", "GET, DELETE, HEAD, OPTIONS"),
        ("PATCH", "/metrics/", "GET, POST, HEAD, OPTIONS"),
        ("POST", "/metrics/pod/", "GET, HEAD, OPTIONS"),
    ],
)
def test_other_methods(idle: Mlbench, method: str, path: str, allowed: str) -> None:
    reply = idle.request(method, path)
    assert reply.status_code == 405
    assert reply.headers["allow"] == allowed
    assert list(reply.json()) == ["detail"]


def test_content_types_follow_accept(idle: Mlbench) -> None:
    for accept, kind in (
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        (OLD["Accept"], "text/javascript"),
        ("text/javascript", "text/javascript"),
    ):
        headers = {} if accept is None else {"Accept": accept}
        reply = idle.get("/pods/", headers=headers)
        assert reply.headers["content-type"] == kind
        assert reply.headers["vary"] == "Accept"
    reply = idle.get("/pods/", headers={"Accept": "image/png"})
    assert reply.status_code == 406
    assert list(reply.json()) == ["detail"]
    assert idle.get("/pods/", params={"format": "xml"}).status_code == 404
    assert idle.get("/pods/", params={"format": "zip"}).status_code == 404
    forced = idle.get("/pods/", params={"format": "json"}, headers=OLD)
    assert forced.headers["content-type"] == "application/json"
    assert idle.get("/pods.json").json() == idle.get("/pods").json()


def test_bodies_that_are_nothing(idle: Mlbench) -> None:
    kind = {"Content-Type": "application/json"}
    reply = idle.post("/metrics/", content=b"{'a': False}", headers=kind)
    assert (reply.status_code, list(reply.json())) == (400, ["detail"])
    reply = idle.post("/metrics/", content=b"<a/>", headers={"Content-Type": "application/xml"})
    assert (reply.status_code, list(reply.json())) == (415, ["detail"])
    assert idle.get("/nothing/").json() == {"detail": "Not found."}


def test_templates(idle: Mlbench) -> None:
    templates = idle.get("/images/").json()
    assert {"title", "image", "command", "gpu", "backends", "task"} == set(templates[0])
    built_in = {each["task"]: each for each in templates if each["image"].startswith("gristmill/")}
    assert set(built_in) == {"0a", "2a"}
    official = [each for each in templates if each["image"].startswith("mlbench/")]
    assert len(official) == 8
    assert {each["task"] for each in official} == {"0a", "1a", "2a", "3a", "4a", "4b"}
    (tensorflow,) = [each for each in official if "tensorflow" in each["image"]]
    assert tensorflow["backends"] == ["MPI"]
    assert "{rank}" not in tensorflow["command"]


def test_a_token_where_one_is_asked_for(start: Start) -> None:
    server = start("--engine", "none", "--https", "off", "--mlbench-access", "token")
    talk = Mlbench(server)
    reply = talk.get("/pods/")
    assert (reply.status_code, list(reply.json())) == (401, ["detail"])
    assert reply.headers["www-authenticate"] == "Bearer"
    bearer = {"Authorization": f"Bearer {server.token}"}
    assert talk.get("/pods/", headers=bearer).status_code == 200
    assert talk.get("/pods/", headers={"Authorization": "Bearer x"}).status_code == 401
    reader = server.client().create_token("ann", scopes=["read"]).token
    reading = {"Authorization": f"Bearer {reader}"}
    assert talk.get("/pods/", headers=reading).status_code == 200
    point = {"pod_name": "p", "name": "m", "value": 1}
    assert talk.post("/metrics/", json=point, headers=reading).status_code == 403
    assert talk.post("/metrics/", json=point, headers=bearer).status_code == 201
    talk.close()


def test_pages_of_other_sites_write_nothing(idle: Mlbench) -> None:
    point = {"pod_name": "forged", "name": "m", "value": "1"}
    reply = idle.post("/metrics/", data=point, headers={"Sec-Fetch-Site": "cross-site"})
    assert reply.status_code == 403
    assert idle.get("/metrics/forged/").status_code == 404


def test_hosts_and_dates_of_replies(idle: Mlbench) -> None:
    run = idle.create(name="dated")
    assert re.fullmatch(r"[^ ]+\.\d{6}Z", run["created_at"])
    idle.delete(run["id"])
