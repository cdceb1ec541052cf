"""Logging in with the form, and out again."""

import pytest

from tests.job_runner.conftest import Place, Start
from tests.job_runner.talk import Caller, Person
from tests.job_runner.world import PASSWORD, WORLD


def test_the_form_gives_a_session(place: Place) -> None:
    ann = place.person("ann")
    assert ann.reply.status_code == 302
    assert ann.reply.headers["location"] == "/somewhere/"
    cookies = [value.lower() for value in ann.reply.headers.get_list("set-cookie")]
    (session,) = [value for value in cookies if value.startswith("sessionid=")]
    assert "httponly" in session
    assert "samesite=lax" in session
    assert ann.status("GET", "project/") == 200


@pytest.mark.parametrize(
    ("name", "password"),
    [("ann", "wrong"), ("ann", ""), ("nobody", PASSWORD), ("", ""), ("gus", PASSWORD),
     ("ann", "x" * 5000), ("ann\x00", PASSWORD)],
)  # fmt: skip
def test_wrong_names_and_passwords(place: Place, name: str, password: str) -> None:
    caller = Person(place.server.url_http, name, password)
    assert caller.reply.status_code == 200
    assert "password is wrong" in caller.reply.text
    assert "sessionid" not in caller.client.cookies
    assert caller.status("GET", "project/") == 401
    caller.close()


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:1", "/a\r\nX: y",
     "/é"],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(place: Place, wanted: str) -> None:
    ann = place.person("ann")
    assert ann.log_in("ann", PASSWORD, wanted).headers["location"] == "/"


def test_the_form_must_be_ours(place: Place) -> None:
    caller = Caller(place.server.url_http)
    form = {"username": "ann", "password": PASSWORD, "csrfmiddlewaretoken": "x" * 32}
    url = "/accounts/login/"
    assert caller.client.post(url, data=form).status_code == 403
    caller.client.get(url)
    assert caller.client.post(url, data=form).status_code == 403
    form["csrfmiddlewaretoken"] = caller.client.cookies["csrftoken"]
    elsewhere = {"Origin": "http://evil.example"}
    assert caller.client.post(url, data=form, headers=elsewhere).status_code == 403
    assert caller.client.post(url, data=form).status_code == 302
    assert caller.client.post(url, json=form).status_code == 400
    caller.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_logging_out(place: Place, method: str) -> None:
    ann = place.person("ann")
    stolen = {"sessionid": ann.client.cookies["sessionid"]}
    reply = ann.client.request(method, "/accounts/logout/")
    assert (reply.status_code, reply.headers["location"]) == (302, "/accounts/login/")
    ann.client.cookies.update(stolen)
    assert ann.status("GET", "project/") == 401


def test_a_signature_decides_alone(place: Place) -> None:
    ann = place.person("ann")
    wrong = {"Authorization": f"ApiKey blue-heron:{'0' * 40}"}
    assert ann.status("GET", "project/", **wrong) == 401
    right = place.w4.headers("GET", "/api/v1/project/", b"")
    (project,) = ann.send("GET", "project/", None, **right).json()["objects"]
    assert project["title"] == "foreign"


def test_sessions_of_people_who_are_gone(place: Place) -> None:
    text = "users: [{name: zoe, password: s3cret, groups: [viewers], enabled: %s}]"
    client = place.server.client()
    client.apply(text % "true")
    zoe = place.person("zoe")
    assert len(zoe.objects("project/")) == 1
    client.apply(text % "false")
    assert zoe.status("GET", "project/") == 401


def test_a_new_password_ends_the_sessions_of_the_old_one(place: Place) -> None:
    text = "users: [{name: kim, password: %s, groups: [viewers]}]"
    client = place.server.client()
    client.apply(text % PASSWORD)
    kim = place.person("kim")
    client.apply(text % PASSWORD)
    assert kim.status("GET", "project/") == 200
    client.apply(text % "another")
    assert kim.status("GET", "project/") == 401


def test_a_session_outlives_the_server(start: Start) -> None:
    server = start("--engine", "none")
    server.client().apply(WORLD)
    bob = Person(server.url_http, "bob")
    session = {"sessionid": bob.client.cookies["sessionid"]}
    server.kill9()
    server.restart()
    job = bob.titled("job", "first")["resource_uri"]
    assert bob.status("PATCH", job, {"description": "after"}) == 202
    assert bob.client.get("/accounts/logout/").status_code == 302
    bob.client.cookies.update(session)
    assert bob.status("GET", "project/") == 401
    bob.close()


def test_the_mounted_form(place: Place) -> None:
    page = place.stranger.client.get("/job-runner/accounts/login/")
    assert 'action="/job-runner/accounts/login/"' in page.text
