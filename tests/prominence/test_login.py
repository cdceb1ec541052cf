"""The login of the clients, with codes; mail at the end of a job; tokens of a provider."""

import httpx2
import pytest

from gristmill.client import NotFoundError
from tests.e2e.conftest import Start
from tests.e2e.harness import LIMIT, RunningServer
from tests.prominence.talk import Prominence, error_of
from tests.services.provider import running_provider
from tests.services.relay import Relay, text_of

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE = "openid profile email"
Client = tuple[str, str]


def post(server: RunningServer, path: str, **options: object) -> httpx2.Response:
    url = f"{server.url_http}/prominence/v1{path}"
    reply = httpx2.post(url, timeout=LIMIT, trust_env=False, **options)  # type: ignore[arg-type]
    assert reply.status_code < 500, reply.text
    return reply


def register(server: RunningServer) -> Client:
    reply = post(server, "/register", json={"client_name": "x", "grant_types": [GRANT]})
    assert reply.status_code == 201
    return reply.json()["client_id"], reply.json()["client_secret"]


def test_a_terminal_logs_in_with_a_code(idle_server: RunningServer) -> None:
    client = register(idle_server)
    form = {"scope": SCOPE, "client_id": client[0]}
    begun = post(idle_server, "/devicecode", data=form, auth=client)
    assert begun.status_code == 200
    assert begun.json()["expires_in"] == 600
    assert begun.json()["verification_uri"] == f"{idle_server.url_http}/ui/device"
    poll = {"grant_type": GRANT, "device_code": begun.json()["device_code"]}
    assert error_of(post(idle_server, "/token", data=poll, auth=client)) == "authorization_pending"
    ann = idle_server.client(
        idle_server.client().create_token("login-ann", groups=["vo"], email="a@b.org").token
    )
    with pytest.raises(NotFoundError):
        ann.approve_login("BCDF-BCDF")
    ann.approve_login(begun.json()["user_code"].lower().replace("-", ""))
    with pytest.raises(NotFoundError):
        ann.approve_login(begun.json()["user_code"])
    given = post(idle_server, "/token", data=poll, auth=client)
    assert given.status_code == 200
    token = given.json()["access_token"]
    assert idle_server.client(token).info().user == "login-ann"
    assert token.count(".") == 2
    again = post(idle_server, "/token", data=poll, auth=client)
    assert error_of(again) == "expired_token"


def test_a_login_needs_a_client_and_a_form(idle_server: RunningServer) -> None:
    client, other = register(idle_server), register(idle_server)
    form = {"scope": SCOPE, "client_id": client[0]}
    for auth in (None, ("x", "y"), (client[0], other[1]), (client[0], "ü"), ("", "")):
        for path in ("/devicecode", "/token"):
            sent = {**form, "grant_type": GRANT, "device_code": "x"}
            reply = post(idle_server, path, data=sent, auth=auth)
            assert (reply.status_code, error_of(reply)) == (401, "invalid_client"), (path, auth)
    wrong = {"grant_type": "password", "username": "x"}
    assert error_of(post(idle_server, "/token", data=wrong, auth=client)) == (
        "unsupported_grant_type"
    )
    unknown = {"grant_type": GRANT, "device_code": "ü"}
    assert error_of(post(idle_server, "/token", data=unknown, auth=client)) == "expired_token"
    for body in (b"", b"[]", b"{", b"1"):
        assert post(idle_server, "/register", content=body).status_code == 400
    assert post(idle_server, "/devicecode", content=b"\xff", auth=client).status_code == 400
    assert post(idle_server, "/devicecode", content=b"x" * 20_000, auth=client).status_code == 400


def test_a_person_approves_in_the_browser(idle_server: RunningServer) -> None:
    client = register(idle_server)
    begun = post(idle_server, "/devicecode", data={"client_id": client[0]}, auth=client).json()
    token = idle_server.client().create_token("login-ben").token
    page = begun["verification_uri_complete"]
    with httpx2.Client(trust_env=False, timeout=LIMIT, follow_redirects=True) as browser:
        asked = browser.get(page, headers={"Accept": "text/html"})
        assert "Log in" in asked.text
        root = idle_server.url_http
        browser.post(f"{root}/ui/login", data={"token": token, "next": "/ui/"})
        form = browser.get(page)
        assert begun["user_code"] in form.text
        assert "login-ben" in form.text
        secret = form.text.partition('name="form_token" value="')[2].partition('"')[0]
        bare = browser.post(f"{root}/ui/device", data={"code": begun["user_code"]})
        assert bare.status_code == 403
        wrong = browser.post(f"{root}/ui/device", data={"code": "<b>", "form_token": secret})
        assert wrong.status_code == 404
        assert "<b>" not in wrong.text
        sent = {"code": begun["user_code"], "form_token": secret}
        assert browser.post(f"{root}/ui/device", data=sent).status_code == 200
    poll = {"grant_type": GRANT, "device_code": begun["device_code"]}
    given = post(idle_server, "/token", data=poll, auth=client).json()
    assert idle_server.client(given["access_token"]).info().user == "login-ben"


def test_a_login_outlives_the_server(start: Start) -> None:
    server = start("--engine", "none", "--https", "off")
    client = register(server)
    begun = post(server, "/devicecode", data={}, auth=client).json()
    server.kill9()
    server.restart()
    server.client().approve_login(begun["user_code"])
    poll = {"grant_type": GRANT, "device_code": begun["device_code"]}
    assert post(server, "/token", data=poll, auth=client).status_code == 200


def test_tokens_of_a_provider_are_taken_and_mail_is_sent(start: Start) -> None:
    relay = Relay()
    with running_provider() as provider, relay.running():
        server = start(
            "--https", "off", "--container-engine", "host", "--oidc-provider", provider.url,
            "--smtp", f"127.0.0.1:{relay.port}", "--mail-from", "mill@example.org",
        )  # fmt: skip
        token = provider.log_in("s", preferred_username="ann", email="ann@example.org")
        user = Prominence(server, "ann")
        user.client.headers["Authorization"] = f"Bearer {token}"
        wish = [{"event": "jobFinished", "type": "email"}]
        job = user.run("true", notifications=wish)
        user.wait(job, "completed")
        ((to, message),) = relay.wait(1)
        assert to == ["ann@example.org"]
        assert message["Subject"] == f"Job {job} (small) completed"
        for fact in ("CPU time:", "Wall time:", "Memory:", "Site:"):
            assert fact in text_of(message)
        user.client.headers["Authorization"] = "Bearer nonsense"
        assert user.refused("GET", "/jobs", 401) == "Authentication failure"
        user.close()


def test_a_provider_that_is_away_is_named(start: Start) -> None:
    server = start("--engine", "none", "--https", "off", "--oidc-provider", "http://127.0.0.1:9")
    user = Prominence(server)
    assert user.get("/jobs") == []
    user.client.headers["Authorization"] = "token opaque"
    assert user.refused("GET", "/jobs", 401) == "Unable to connect to OIDC server"
    user.close()
