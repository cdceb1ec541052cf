"""The doors: bound, reachable, told apart, and closed in an orderly way."""

import asyncio
import json
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from gristmill.domain.clock import Chance
from gristmill.domain.errors import InvalidInputError
from gristmill.server.listeners import Certificate, Doors, Listeners, _affordable
from gristmill.server.setting_kinds import Address
from tests.server.serving import (
    ANY_PORT,
    CONNECTION_LIMITS,
    Server,
    Toy,
    read_to_end,
    read_until,
    serving,
)

GET = b"GET /listener HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, cert.pem and key.pem."""
    folder = tmp_path_factory.mktemp("tls")
    ca = trustme.CA()
    issued = ca.issue_cert("localhost", "127.0.0.1")
    ca.cert_pem.write_to_path(folder / "ca.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(folder / "cert.pem", append=True)
    issued.private_key_pem.write_to_path(folder / "key.pem")
    return folder


def certificate(folder: Path) -> Certificate:
    return Certificate(folder / "cert.pem", folder / "key.pem")


@pytest.fixture
def all_doors(authority: Path, tmp_path: Path) -> Iterator[Server]:
    doors = Doors(
        http=ANY_PORT,
        https=ANY_PORT,
        certificate=certificate(authority),
        socket=tmp_path / "agent.sock",
    )
    with serving(doors=doors, header_timeout=0.5) as server:
        yield server


def curl(*arguments: str) -> str:
    command = ["curl", "-sS", "--max-time", "20", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_every_door_is_open_and_known_to_the_app(all_doors: Server, authority: Path) -> None:
    addresses = all_doors.addresses
    assert curl(f"{addresses.http}/listener") == "http"
    assert curl("--cacert", f"{authority}/ca.pem", f"{addresses.https}/listener") == "https"
    assert addresses.socket
    assert curl("--unix-socket", addresses.socket, "http://x/listener") == "unix"


def test_the_agents_socket_is_private(all_doors: Server) -> None:
    path = Path(all_doors.addresses.socket or "")
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert path.stat().st_mode & 0o777 == 0o600
    all_doors.stop(0)
    assert not path.exists()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls_is_refused(all_doors: Server) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.maximum_version = context.minimum_version = ssl.TLSVersion.TLSv1_1
    port = int((all_doors.addresses.https or "").rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
    ):
        context.wrap_socket(plain)


def test_a_tls_client_that_never_shakes_hands_is_cut_off(all_doors: Server) -> None:
    port = int((all_doors.addresses.https or "").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        began = time.monotonic()
        assert read_to_end(client) == b""
        assert time.monotonic() - began < 10


def test_plain_http_to_the_tls_port_is_no_harm(all_doors: Server, authority: Path) -> None:
    port = int((all_doors.addresses.https or "").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(GET)
        assert b"200 OK" not in read_to_end(client)
    assert curl("--cacert", f"{authority}/ca.pem", f"{all_doors.addresses.https}/") == "hello"


def test_an_endless_header_over_tls_is_refused(authority: Path) -> None:
    doors = Doors(https=ANY_PORT, certificate=certificate(authority))
    with serving(doors=doors, max_header=20_000) as server:
        header = "X-Long: " + "a" * 60_000
        told = curl("--cacert", f"{authority}/ca.pem", "-H", header, f"{server.addresses.https}/")
        assert json.loads(told)["error"]["field"] == "headers"


def test_a_home_too_deep_for_a_socket_path_still_has_one(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 60) / ("e" * 60)
    folder.mkdir(parents=True)
    with serving(doors=Doors(socket=folder / "agent.sock")) as server:
        assert server.addresses.socket == str(folder / "agent.sock")
        with socket.socket(socket.AF_UNIX) as client:
            (tmp_path / "short").symlink_to(folder)
            client.connect(str(tmp_path / "short" / "agent.sock"))
            client.sendall(GET)
            assert read_to_end(client).endswith(b"unix")


def open_doors(doors: Doors) -> None:
    async def main() -> None:
        listeners = Listeners(Toy(), doors, CONNECTION_LIMITS, Chance())
        await listeners.open()
        await listeners.stop(0)

    asyncio.run(main())


def test_a_socket_left_by_a_dead_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    open_doors(Doors(socket=path))


def test_a_port_in_use_is_named_and_nothing_stays_open(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInputError, match=rf"127.0.0.1:{port} \(--http\).*use") as caught:
            open_doors(Doors(http=Address("127.0.0.1", port), socket=tmp_path / "agent.sock"))
        assert caught.value.field == "http"
    assert not (tmp_path / "agent.sock").exists()


@pytest.mark.parametrize("address", [Address("no-such-host.invalid", 0), Address("192.0.2.1", 0)])
def test_an_address_that_is_not_ours_is_refused(address: Address) -> None:
    with pytest.raises(InvalidInputError, match="cannot listen on"):
        open_doors(Doors(http=address))


@pytest.mark.parametrize("text", ["", "junk"])
def test_a_bad_certificate_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "cert.pem").write_text(text)
    (tmp_path / "key.pem").write_text(text)
    with pytest.raises(InvalidInputError, match=r"cert\.pem"):
        open_doors(Doors(https=ANY_PORT, certificate=certificate(tmp_path)))


@pytest.mark.parametrize("host", ["localhost", "0.0.0.0"])
def test_the_url_works_from_this_machine(host: str) -> None:
    with serving(doors=Doors(http=Address(host, 0))) as server:
        assert (server.addresses.http or "").startswith("http://127.0.0.1:")
        assert curl(f"{server.addresses.http}/") == "hello"


def test_a_graceful_stop_lets_requests_finish() -> None:
    toy = Toy()
    with serving(toy) as server, server.connect() as busy, server.connect() as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        read_until(idle, b"hello")
        busy.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        assert toy.entered.wait(10)
        stopping = threading.Thread(target=server.stop, args=(10,))
        stopping.start()
        assert read_to_end(idle) == b""
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        server.loop.call_soon_threadsafe(toy.release.set)
        assert read_to_end(busy).endswith(b"released")
        stopping.join(5)
        assert not stopping.is_alive()


def test_a_stop_is_bounded_and_ends_streams_and_stuck_requests() -> None:
    toy = Toy()
    with serving(toy) as server, server.connect() as stream, server.connect() as stuck:
        stream.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        read_until(stream, b"begun")
        toy.entered.clear()
        stuck.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        assert toy.entered.wait(10)
        began = time.monotonic()
        server.stop(0.1)
        assert time.monotonic() - began < 5
        assert read_to_end(stream) == b""
        assert read_to_end(stuck) == b""


def test_streams_can_learn_of_a_stop() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await scope["state"]["stopping"].wait()
        await send({"type": "http.response.body", "body": b"end", "more_body": False})

    with serving(app) as server, server.connect() as client:
        client.sendall(GET)
        read_until(client, b"begun")
        server.stop(10)
        assert read_to_end(client).endswith(b"3\r\nend\r\n0\r\n\r\n")


def test_fewer_files_mean_fewer_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (200, 200))
    assert _affordable(CONNECTION_LIMITS).max_connections == 72
    monkeypatch.setattr("resource.getrlimit", lambda _: (20_000, 20_000))
    assert _affordable(CONNECTION_LIMITS).max_connections == CONNECTION_LIMITS.max_connections


SIGNALLED = """
import asyncio, signal
from gristmill.domain.clock import Chance
from gristmill.server.listeners import Doors, Listeners
from tests.server.serving import ANY_PORT, CONNECTION_LIMITS, Toy

async def main():
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    listeners = Listeners(Toy(), Doors(http=ANY_PORT), CONNECTION_LIMITS, Chance())
    await listeners.open()
    print("open", flush=True)
    await told.wait()
    await listeners.stop(1)
    print("stopped", flush=True)

asyncio.run(main())
"""


def test_signals_stay_with_the_process() -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", SIGNALLED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "open\n"
        server.send_signal(signal.SIGTERM)
        assert server.stdout.readline() == "stopped\n"
        assert server.wait(10) == 0
