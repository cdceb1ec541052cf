"""``/data``: names, listings and signed URLs, as the clients use them."""

import hashlib
from email.utils import parsedate_to_datetime

import httpx2
import pytest

from tests.e2e.conftest import Start
from tests.e2e.harness import LIMIT, eventually
from tests.prominence.talk import Prominence


def put(url: str, data: bytes) -> httpx2.Response:
    """Send bytes as the clients do: without a credential."""
    return httpx2.put(url, content=data, timeout=LIMIT, trust_env=False)


def upload(user: Prominence, name: str, data: bytes = b"data") -> None:
    reply = user.ask("POST", "/data/upload", json={"filename": name, "checksum": None})
    assert reply.status_code == 201
    assert list(reply.json()) == ["url"]
    assert put(reply.json()["url"], data).status_code == 201


def names(user: Prominence, path: str = "") -> list[str]:
    return [each["name"] for each in user.get(f"/data{path}")]


def test_an_object_is_uploaded_listed_and_deleted(idle: Prominence) -> None:
    assert idle.get("/data") == []
    upload(idle, "sim.tar.gz", b"12345")
    (item,) = idle.get("/data")
    assert (item["name"], item["size"]) == ("sim.tar.gz", 5)
    assert parsedate_to_datetime(item["lastModified"]).tzinfo is not None
    gone = idle.ask("DELETE", "/data/sim.tar.gz")
    assert (gone.status_code, gone.content) == (204, b"")
    assert idle.get("/data") == []
    assert idle.ask("DELETE", "/data/sim.tar.gz").status_code == 204


def test_all_ways_to_ask_for_an_upload(idle: Prominence) -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    for path in ("/data/upload", "/data"):
        for options in (
            {"json": {"filename": "x", "checksum": digest}},
            {"params": {"name": "x", "checksum": digest}},
        ):
            reply = idle.ask("POST", path, **options)
            assert reply.status_code == 201
            url = reply.json()["url"]
            assert url.startswith(idle.server.url_http)
            assert put(url, b"wrong").status_code == 400
            assert put(url, b"x").status_code == 201


def test_uploads_that_cannot_be(idle: Prominence) -> None:
    nothing = "An object name must be specified"
    assert idle.refused("POST", "/data/upload", json={}) == nothing
    assert idle.refused("POST", "/data/upload", json={"filename": ""}) == nothing
    assert idle.refused("POST", "/data/upload", json={"filename": None}) == nothing
    assert idle.refused("POST", "/data/upload", params={"name": ""}) == nothing
    for body in (["x"], 1, "x", None, {"filename": 7}, {"filename": "x", "checksum": 7}):
        idle.refused("POST", "/data/upload", json=body)
    idle.refused("POST", "/data/upload", content=b"{")
    assert "sha256" in idle.refused(
        "POST", "/data/upload", json={"filename": "x", "checksum": "12"}
    )
    for name in ("../x", "a/../b", "/x", "x/", "a//b", ".", "..", "a\0b", "x" * 1025):
        idle.refused("POST", "/data/upload", json={"filename": name})
    assert idle.get("/data") == []


def test_groups_share_and_their_names_are_exact(idle: Prominence) -> None:
    ann, ben = idle.other("ann", groups=["vo"]), idle.other("ben", groups=["vo", "other"])
    far = idle.other("cleo", groups=["vo2", "v", "vo.x"])
    upload(ann, "vo/in.txt")
    upload(ann, "own.txt")
    assert names(ann) == ["own.txt"]
    assert names(ann, "/vo") == names(ben, "/vo") == ["vo/in.txt"]
    assert names(ben, "/vo/i") == ["vo/in.txt"]
    assert names(ben, "/vo/x") == []
    assert names(ben) == []
    for user in (far, idle):
        path = "Not authorized to access this path"
        assert user.refused("GET", "/data/vo", 403) == path
        assert user.refused("GET", "/data/vo/in.txt", 403) == path
        refusal = user.refused("POST", "/data/upload", 403, json={"filename": "vo/in.txt"})
        assert refusal == "Not authorized to access upload with this path"
        refusal = user.refused("DELETE", "/data/vo/in.txt", 403)
        assert refusal == "Not authorized to access this object"
    assert names(ann, "/vo") == ["vo/in.txt"]
    assert ben.ask("DELETE", "/data/vo/in.txt").status_code == 204
    assert names(ann, "/vo") == []


def test_users_whose_names_begin_alike_share_nothing(idle: Prominence) -> None:
    bob, bobby = idle.other("bob"), idle.other("bobby")
    upload(bob, "bob.txt")
    upload(bobby, "by.txt")
    assert (names(bob), names(bobby)) == (["bob.txt"], ["by.txt"])
    bob.refused("GET", "/data/bobby", 403)
    bob.ask("DELETE", "/data/by.txt")
    assert names(bobby) == ["by.txt"]


def test_outputs_are_for_jobs(idle: Prominence) -> None:
    refusal = idle.refused("POST", "/data/output", json={"name": "out.txt"})
    assert refusal == "A JWT token is required"


def test_a_job_stores_outputs_of_its_own_while_it_runs(user: Prominence) -> None:
    job = user.run("sh -c 'echo $PROMINENCE_TOKEN; sleep 60'")
    user.wait(job, "running")
    eventually(lambda: user.output(job).strip(), what="the job's token")
    inside = httpx2.Client(
        base_url=user.root,
        headers={"Authorization": f"Bearer {user.output(job).strip()}"},
        timeout=LIMIT,
        trust_env=False,
    )
    with inside:
        assert inside.post("/data/output", json={}).json() == {"error": "Name not specified"}
        reply = inside.post("/data/output", json={"name": "a/out.txt"})
        assert reply.status_code == 201
        assert put(reply.json()["url"], b"mine").status_code == 201
        assert names(user) == []
        user.ask("DELETE", f"/jobs/{job}")
        eventually(
            lambda: inside.post("/data/output", json={"name": "x"}).status_code == 401,
            what="the end of the job's token",
        )


def test_a_deleted_name_needs_a_name(idle: Prominence) -> None:
    idle.refused("DELETE", "/data")
    idle.refused("DELETE", "/data/..%2fx")


@pytest.mark.parametrize("flag", ["data", "kv"])
def test_what_is_switched_off_says_so(start: Start, flag: str) -> None:
    server = start("--engine", "none", "--https", "off", f"--no-prominence-{flag}")
    user = Prominence(server)
    calls = {
        "data": [("GET", "/data"), ("POST", "/data/upload"), ("DELETE", "/data/x")],
        "kv": [("GET", "/kv/x"), ("POST", "/kv/x"), ("DELETE", "/kv/x")],
    }
    for method, path in calls[flag]:
        assert user.refused(method, path, 401) == "Functionality disabled"
    user.close()
