"""The golden exchanges, replayed in order against a real server: every byte counts.

``{any}`` and ``{number}`` in a reply stand for what differs from run to run, ``{home}`` and
``{token}`` for those of the server.
"""

import re
from pathlib import Path

import msgspec

from tests.wr.talk import Wr

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
_VARYING = {re.escape("{any}"): '[^"]*', re.escape("{number}"): r"[0-9]+"}


class Asked(msgspec.Struct):
    """A request."""

    method: str
    target: str
    headers: dict[str, str]
    body: str | None


class Answered(msgspec.Struct):
    """A reply."""

    status: int
    headers: dict[str, str]
    body: str


class Exchange(msgspec.Struct):
    """One file."""

    about: str
    request: Asked
    reply: Answered


def test_replay(idle: Wr) -> None:
    assert len(GOLDEN) > 100
    del idle.client.headers["Authorization"]
    for path in GOLDEN:
        exchange = msgspec.json.decode(path.read_bytes(), type=Exchange)
        _replay(idle, path.name, exchange)


def _replay(idle: Wr, name: str, exchange: Exchange) -> None:
    asked, expected = exchange.request, exchange.reply
    token, home = idle.server.token, str(idle.server.home)
    reply = idle.client.request(
        asked.method,
        asked.target.replace("{token}", token).replace("{home}", home),
        headers={key: value.replace("{token}", token) for key, value in asked.headers.items()},
        content=None if asked.body is None else asked.body.encode(),
    )
    assert reply.status_code == expected.status, (name, reply.text)
    body = re.escape(expected.body.replace("{home}", home))
    for mark, pattern in _VARYING.items():
        body = body.replace(mark, pattern)
    text = reply.content.decode()
    assert re.fullmatch(body, text), f"{name}\ngot      {text}\nexpected {expected.body}"
    for header, value in expected.headers.items():
        assert reply.headers[header] == value, name


def test_mounted_alone_it_is_the_same(idle: Wr) -> None:
    idle.client.headers["Authorization"] = f"Bearer {idle.server.token}"
    alone = idle.client.get("/wr/rest/v1/info/")
    assert alone.status_code == 200
    assert alone.content == idle.client.get("/rest/v1/info/").content


def test_head_is_no_method_of_it(idle: Wr) -> None:
    idle.client.headers["Authorization"] = f"Bearer {idle.server.token}"
    reply = idle.client.head("/rest/v1/jobs/")
    assert (reply.status_code, reply.content) == (400, b"")
