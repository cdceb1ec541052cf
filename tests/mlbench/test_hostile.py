"""Whatever is sent: an answer below 500 in MLBench's shapes, and a server that goes on."""

import json
import socket
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.harness import LIMIT
from tests.mlbench.talk import Mlbench

KINDS = (
    "application/json", "application/x-www-form-urlencoded", "multipart/form-data",
    "multipart/form-data; boundary=x", "", "text/plain", "application/json; charset=utf-16",
)  # fmt: skip
HUGE = 10**400
FIELDS = (
    "pod_name", "run_id", "name", "date", "value", "cumulative", "metadata", "num_workers",
    "num_cpus", "max_bandwidth", "image_name", "backend", "custom_backend", "run_all_nodes",
    "custom_image_name", "custom_image_command", "gpu_enabled", "light_target",
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, HUGE, "", " ", "\0", "a\0b", "\ud800", "9" * 5000, "{", "'",
    [], {}, [[]], {"a": {"b": []}}, "NaN", "Infinity", "1e999", "٣", "2018-08-03T09:21:44Z",
    "9999-12-31T23:59:59.9999999999999-23:59", "0001-01-01T00:00:00+23:59", "0000-00-00", "../..",
    "custom_image", "custom_backend", "mpi", "2a", "\u202e", "x" * 100_000,
)  # fmt: skip

odd_bodies = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(ODD), max_size=8)
any_json = st.recursive(
    st.sampled_from(ODD), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)
many = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def told(talk: Mlbench, method: str, path: str, **options: Any) -> int:
    """Send something; the answer must be one that clients can read. Return its status."""
    reply = talk.request(method, path, **options)
    assert reply.status_code < 500, (reply.status_code, reply.text[:500])
    assert "Traceback" not in reply.text
    if reply.status_code >= 400 and method != "HEAD":
        body = reply.json()
        assert "detail" in body or {"status", "message"} <= set(body), body
    return int(reply.status_code)


@many
@given(body=odd_bodies | any_json, path=st.sampled_from(["/metrics", "/runs/"]))
def test_json_of_any_shape(idle: Mlbench, body: Any, path: str) -> None:
    content = json.dumps(body).encode()
    told(idle, "POST", path, content=content, headers={"Content-Type": KINDS[0]})
    _forget_runs(idle)


@many
@given(
    content=st.binary(max_size=300)
    | st.sampled_from([b"{", b"[" * 5000, b"a=%ff", b"=", b"&" * 99]),
    kind=st.sampled_from(KINDS),
    path=st.sampled_from(["/metrics", "/runs/"]),
)
def test_bytes_of_any_kind(idle: Mlbench, content: bytes, kind: str, path: str) -> None:
    told(idle, "POST", path, content=content, headers={"Content-Type": kind})


@many
@given(
    key=st.text(max_size=40),
    place=st.sampled_from(["pods", "metrics", "runs", "images", "x"]),
    method=st.sampled_from(["GET", "DELETE", "POST", "OPTIONS", "HEAD"]),
    query=st.dictionaries(
        st.sampled_from(
            [
                "since",
                "metric_type",
                "metric_filter",
                "summarize",
                "last_n",
                "format",
                "layout",
                "profile",
            ]
        ),
        st.sampled_from([str(value) for value in ODD if value != "\ud800" and value is not HUGE])
        | st.text(max_size=20),
        max_size=3,
    ),
)
def test_paths_and_queries(
    idle: Mlbench, key: str, place: str, method: str, query: dict[str, str]
) -> None:
    quoted = quote(key.encode("utf-8", "surrogatepass"), safe="")
    query = {name: value[:2000] for name, value in query.items() if value.isprintable()}
    told(idle, method, f"/{place}/{quoted}", params=query)


def test_raw_requests(idle: Mlbench) -> None:
    """What no client library would send."""
    host, _, port = idle.address.partition(":")
    for line in (
        "GET /api/metrics/%ff%fe/ HTTP/1.1",
        "GET /api/metrics/a%00b/ HTTP/1.1",
        "GET /api/metrics/?since=%ff HTTP/1.1",
        "GET /api/runs/%2e%2e/ HTTP/1.1",
        "GET /api/pods?" + "&".join(["a=1"] * 500) + " HTTP/1.1",
    ):
        text = f"{line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        with socket.create_connection((host, int(port)), LIMIT) as connection:
            connection.sendall(text)
            reply = connection.makefile("rb").read()
        assert reply.startswith(b"HTTP/1.1 "), (line, reply[:100])
        assert reply[9:10] in b"24", (line, reply[:200])


def test_shells_get_nothing_from_placeholders(idle: Mlbench) -> None:
    run = idle.create(name="a" + "b" * 99, image_name="2a", backend="custom_backend",
                      custom_backend="x'; touch /tmp/owned; '", run_all_nodes="True")  # fmt: skip
    assert idle.server.client().get(run["id"]).state == "ready"
    idle.delete(run["id"])


def test_the_server_is_well(idle: Mlbench) -> None:
    idle.server.check_logs()
    assert idle.get("/").status_code == 200


def _forget_runs(idle: Mlbench) -> None:
    for run in idle.get("/runs/").json():
        idle.delete(run["id"])
