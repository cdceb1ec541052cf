"""Objects through signed URLs on a real server: streamed, whole, and deaf to forged URLs."""

import asyncio
import hashlib
import io
import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from gristmill.cli.main import run
from gristmill.client import (
    AsyncClient,
    Client,
    InvalidInputError,
    NotFoundError,
    NotPermittedError,
    UnavailableError,
)
from tests.e2e.conftest import Start
from tests.e2e.harness import LIMIT, RunningServer, eventually, short_folder, start_server

MB = 1 << 20
LARGEST = 64 * MB


@pytest.fixture(scope="module")
def mill() -> Iterator[RunningServer]:
    """A server that runs nothing, takes small requests and larger objects."""
    with short_folder() as place:
        flags = ("--engine", "none", "--https", "off", "--max-body", "1M")
        limits = ("--objects-max-size", "64M", "--body-timeout", "0.5s")
        server = start_server(place / "h", *flags, *limits)
        try:
            yield server
        finally:
            server.close()
        server.check_logs()


def user(server: RunningServer, name: str, *groups: str) -> Client:
    token = server.client().create_token(name, groups=list(groups)).token
    return server.client(token)


def ask(method: str, url: str, **options: object) -> httpx2.Response:
    """Send a request without any credential."""
    return httpx2.request(method, url, timeout=LIMIT, trust_env=False, **options)  # type: ignore[arg-type]


def place_for(server: RunningServer, name: str, **wish: object) -> str:
    reply = server.request("POST", "/v1/objects", json={"name": name, **wish})
    assert reply.status_code == 201, reply.text
    url: str = reply.json()["url"]
    return url


def error_of(reply: httpx2.Response) -> dict[str, str]:
    error: dict[str, str] = reply.json()["error"]
    assert error["message"]
    return error


def blobs(server: RunningServer) -> list[Path]:
    return [path for path in (server.home / "blobs").rglob("*") if path.is_file()]


def test_a_large_object_goes_both_ways_without_being_held(mill: RunningServer) -> None:
    data = os.urandom(MB) * 63
    client = user(mill, "ann")
    before = _peak_memory(mill.pid)
    client.put_object("a b/ü.bin", io.BytesIO(data), sha256=hashlib.sha256(data).hexdigest())
    client.put_object("sized", io.BytesIO(data), size=len(data))
    (stored, _) = client.objects()
    assert (stored.name, stored.size) == ("a b/ü.bin", len(data))
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    assert b"".join(client.get_object("a b/ü.bin")) == data
    assert _peak_memory(mill.pid) - before < 32 * MB
    client.remove_object("a b/ü.bin")
    with pytest.raises(NotFoundError):
        client.remove_object("a b/ü.bin")
    client.remove_object("sized")
    eventually(lambda: not blobs(mill), what="no bytes left")


def _peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def test_parts_of_an_object(mill: RunningServer) -> None:
    url = place_for(mill, "parts.txt")
    assert ask("PUT", url, content=b"0123456789").status_code == 201
    where = mill.request("GET", "/v1/objects/parts.txt").json()["url"]
    whole = ask("GET", where)
    assert (whole.status_code, whole.content) == (200, b"0123456789")
    assert whole.headers["content-length"] == "10"
    assert whole.headers["content-disposition"].endswith("parts.txt")
    assert whole.headers["x-content-type-options"] == "nosniff"
    head = ask("HEAD", where)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "10", b"")
    for wanted, status, data in (
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=0-99", 206, b"0123456789"),
        ("bytes=10-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=4-2", 200, b"0123456789"),
        ("bytes=-", 200, b"0123456789"),
        ("bytes=1-2,4-5", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
    ):
        part = ask("GET", where, headers={"Range": wanted})
        assert (part.status_code, part.content) == (status, data), wanted
    empty = place_for(mill, "empty")
    assert ask("PUT", empty, content=b"").json()["size"] == 0
    nothing = ask("GET", mill.request("GET", "/v1/objects/empty").json()["url"])
    assert (nothing.status_code, nothing.content) == (200, b"")


def test_a_url_permits_what_it_was_given_for_and_nothing_else(mill: RunningServer) -> None:
    url = place_for(mill, "mine.txt")
    path = urlsplit(url).path
    signed = path.split("/")[3]
    assert ask("GET", url).status_code == 405
    assert ask("DELETE", url).headers["allow"] == "PUT"
    forged = [
        url.replace(signed, signed[:-4] + "AAAA"),
        url.replace(signed, signed[4:]),
        url.replace(signed, "x"),
        f"{mill.url_http}/v1/blobs",
        f"{mill.url_http}/v1/blobs/",
        f"{mill.url_http}/v1/blobs/../objects",
        f"{mill.url_http}/v1/blobs/%00/x",
        f"{mill.url_http}/v1/blobs/{'A' * 60_000}/x",
    ]
    for wrong in forged:
        reply = ask("PUT", wrong, content=b"evil")
        assert reply.status_code in {401, 405}, wrong
    assert ask("PUT", url.replace("mine.txt", "other"), content=b"fine").status_code == 201
    assert [each.name for each in mill.client().objects("other")] == []
    assert b"".join(mill.client().get_object("mine.txt")) == b"fine"
    gone = mill.request("GET", "/v1/objects/mine.txt").json()["url"]
    mill.client().remove_object("mine.txt")
    assert ask("GET", gone).status_code == 404


def test_uploads_that_are_not_what_was_announced_change_nothing(mill: RunningServer) -> None:
    client = mill.client()
    client.put_object("kept", io.BytesIO(b"old"))
    digest = hashlib.sha256(b"right").hexdigest()
    wrong = ask("PUT", place_for(mill, "kept", sha256=digest), content=b"wrong")
    assert (wrong.status_code, error_of(wrong)["field"]) == (400, "sha256")
    long = ask("PUT", place_for(mill, "kept", size=3), content=b"long")
    assert (long.status_code, error_of(long)["code"]) == (413, "too_large")
    chunked = ask("PUT", place_for(mill, "kept", size=3), content=iter([b"lo", b"ng"]))
    assert chunked.status_code == 413
    beyond = ask("PUT", place_for(mill, "kept"), content=iter([bytes(MB)] * 65))
    assert beyond.status_code == 413
    announced = _half_an_upload(place_for(mill, "kept"), announced=100, sent=b"half", leave=True)
    assert announced == b""
    slow = _half_an_upload(place_for(mill, "kept"), announced=100, sent=b"half", leave=False)
    assert slow.startswith(b"HTTP/1.1 408 ")
    assert b"".join(client.get_object("kept")) == b"old"
    client.remove_object("kept")
    eventually(lambda: not list((mill.home / "blobs").rglob("incoming/*")), what="no drafts left")


def _half_an_upload(url: str, *, announced: int, sent: bytes, leave: bool) -> bytes:
    """Begin to upload; leave in the middle, or wait for what the server says."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), LIMIT) as line:
        head = f"PUT {parts.path} HTTP/1.1\r\nHost: h\r\nContent-Length: {announced}\r\n\r\n"
        line.sendall(head.encode() + sent)
        return b"" if leave else line.recv(4096)


@pytest.mark.parametrize("name", ["../x", "a//b", "/a", "a/", ".", "a\nb", "x" * 1025, "a/../../b"])
def test_names_that_could_lead_astray_are_refused(mill: RunningServer, name: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        mill.client().put_object(name, io.BytesIO(b"x"))
    assert refused.value.field == "name"


def test_nobody_reaches_into_the_space_of_others(mill: RunningServer) -> None:
    ann, ben = user(mill, "ann2", "physics"), user(mill, "ann", "physics2")
    ann.put_object("own", io.BytesIO(b"a"))
    ann.put_object("shared", io.BytesIO(b"g"), group="physics")
    assert list(ben.objects()) == []
    with pytest.raises(NotFoundError):
        next(ben.get_object("own"))
    for group in ("physics", "phys", "", "physics2/../physics"):
        for act in (
            lambda group=group: list(ben.objects(group=group)),
            lambda group=group: ben.put_object("x", io.BytesIO(b"x"), group=group),
            lambda group=group: ben.remove_object("shared", group=group),
        ):
            with pytest.raises(NotPermittedError):
                act()
    third = user(mill, "cleo", "physics")
    assert [each.name for each in third.objects(group="physics")] == ["shared"]
    assert b"".join(third.get_object("shared", group="physics")) == b"g"


def test_the_client_for_asyncio_does_the_same(mill: RunningServer) -> None:
    async def story() -> None:
        async with AsyncClient(mill.url_http, mill.token) as client:
            await client.put_object("async/x", io.BytesIO(b"data"), size=4)
            assert [each.name async for each in client.objects("async/")] == ["async/x"]
            pieces = [piece async for piece in client.get_object("async/x")]
            assert b"".join(pieces) == b"data"
            await client.remove_object("async/x")
            with pytest.raises(NotFoundError):
                await client.remove_object("async/x")
            assert (await client.usage("2026-01-01", "2026-01-02")).usage == ()
            with pytest.raises(InvalidInputError):
                await client.usage("yesterday")

    asyncio.run(story())


def test_the_command_line_keeps_files(
    mill: RunningServer, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    def gristmill(*words: str) -> bytes:
        where = ["--url", mill.url_http, "--token", mill.token]
        assert run([*words, *where]) == 0
        return capfdbinary.readouterr().out

    source, target = tmp_path / "in.bin", tmp_path / "out.bin"
    source.write_bytes(b"abc")
    assert gristmill("object", "put", str(source), "cli/in.bin") == b"cli/in.bin\n"
    assert b"cli/in.bin" in gristmill("object", "list", "cli/")
    assert gristmill("object", "get", "cli/in.bin", "-") == b"abc"
    gristmill("object", "get", "cli/in.bin", str(target))
    assert target.read_bytes() == b"abc"
    gristmill("object", "delete", "cli/in.bin")
    where = ["--url", mill.url_http, "--token", mill.token]
    assert run(["object", "get", "cli/in.bin", str(target), *where]) == 5
    assert run(["object", "put", str(tmp_path / "none"), *where]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.bin", "out.bin"]
    assert gristmill("usage", "--json").startswith(b'{"start":')


def test_an_acknowledged_object_survives_kill_nine(start: Start) -> None:
    server = start("--engine", "none", "--https", "off", "--access-log")
    acknowledged: dict[str, bytes] = {}
    client = server.client(patience=LIMIT)
    over = threading.Event()

    def upload() -> None:
        number = 0
        while not over.is_set():
            number += 1
            data = os.urandom(200_000)
            try:
                client.put_object(f"n{number % 7}", io.BytesIO(data), size=len(data))
            except UnavailableError:
                # Whether it arrived nobody knows, so nothing is claimed of this name.
                acknowledged.pop(f"n{number % 7}", None)
                continue
            acknowledged[f"n{number % 7}"] = data

    uploading = threading.Thread(target=upload)
    uploading.start()
    for _ in range(3):
        eventually(lambda: len(acknowledged) >= 3)
        server.kill9()
        server.restart()
    over.set()
    uploading.join(LIMIT)
    assert acknowledged
    for name, data in acknowledged.items():
        assert b"".join(client.get_object(name)) == data
    names = [each.name for each in client.objects()]
    assert set(acknowledged) <= set(names)
    eventually(lambda: len(blobs(server)) == len(names), what="bytes for every name, and no more")
    logged = re.findall(r"/v1/blobs/[^\s\"]*", server.log.read_text())
    assert set(logged) == {"/v1/blobs/***"}
