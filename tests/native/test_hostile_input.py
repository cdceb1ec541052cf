"""Bad input of every kind gets a 4xx in the one shape, names the field, and changes nothing."""

import socket
from collections.abc import Iterator

import httpx2
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.native.place import LIMIT, MAX_BODY, Agent, Place, error_of

DEEP = 10_000
FOUR_BYTES = "\U0001f4a9"


@pytest.fixture(autouse=True)
def _nothing_changes(place: Place) -> Iterator[None]:
    """Whatever a test sends, no job is added or changed, and no defect is met."""
    before = place.admin.get("/v1/jobs/counts").json()
    tokens = len(place.admin.get("/v1/tokens").json()["tokens"])
    yield
    assert place.admin.get("/v1/jobs/counts").json() == before
    assert len(place.admin.get("/v1/tokens").json()["tokens"]) == tokens
    assert place.admin.get("/readyz").status_code == 200


def refused(reply: httpx2.Response, field: str | None = None, status: int = 400) -> dict[str, str]:
    assert reply.status_code == status, (reply.status_code, reply.text[:500])
    error = error_of(reply)
    if field is not None:
        assert error.get("field") == field, error
    return error


JOBS: list[tuple[bytes, str]] = [
    (b"", "body"),
    (b"null", "body"),
    (b"1", "body"),
    (b'"text"', "body"),
    (b"{", "body"),
    (b"[1]", "[0]"),
    (b'[{"command":"true"},null]', "[1]"),
    (b'[{"command":"true"},{"command":"true"', "body"),
    (b'{"command":"true"} trailing', "body"),
    (b"\xef\xbb\xbf{}", "body"),
    (b'\x00{"command":"true"}', "body"),
    (b"{}", "command"),
    (b'{"command":1}', "command"),
    (b'{"command":["sh"]}', "command"),
    (b'{"command":""}', "command"),
    (b'{"command":" \\n\\t"}', "command"),
    (b'{"command":"a\\u0000b"}', "command"),
    (b'{"command":"\\ud800"}', "body"),
    (b'{"command":"\\udc00\\ud800"}', "body"),
    (b'{"command":"\xff"}', "body"),
    (b'{"command":"\xed\xa0\x80"}', "body"),
    (b'{"command":"true","tasks":[{"command":"x"}]}', "tasks"),
    (b'{"command":"true","nme":"x"}', "nme"),
    (b'{"command":"true","resources":{"cpu":1}}', "resources.cpu"),
    (b'[{"command":"true","resources":{"cpu":1}}]', "[0].resources.cpu"),
    (b'{"command":"true","priority":NaN}', "body"),
    (b'{"command":"true","priority":1e400}', "priority"),
    (b'{"command":"true","priority":1.5}', "priority"),
    (b'{"command":"true","priority":"1"}', "priority"),
    (b'{"command":"true","priority":true}', "priority"),
    (b'{"command":"true","priority":9999999999999999999999999999}', "priority"),
    (b'{"command":"true","resources":{"cpus":Infinity}}', "body"),
    (b'{"command":"true","resources":{"cpus":-1}}', "resources.cpus"),
    (b'{"command":"true","resources":{"cpus":1e30}}', "resources.cpus"),
    (b'{"command":"true","resources":{"cpus":"2"}}', "resources.cpus"),
    (b'{"command":"true","resources":{"memory":1.5}}', "resources.memory"),
    (b'{"command":"true","resources":{"memory":18446744073709551616}}', "resources.memory"),
    (b'{"command":"true","resources":{"gpus":-1}}', "resources.gpus"),
    (b'{"command":"true","resources":{"nodes":0}}', "resources.nodes"),
    (b'{"command":"true","resources":{"walltime":0}}', "resources.walltime"),
    (b'{"command":"true","resources":null}', "resources"),
    (b'{"command":"true","delay":-1}', "delay"),
    (b'{"command":"true","delay":1e300}', "delay"),
    (b'{"command":"true","retry":{"retries":-1}}', "retry.retries"),
    (b'{"command":"true","retry":{"fatal_exit_codes":["x"]}}', "retry.fatal_exit_codes[0]"),
    (b'{"command":"true","after":[0]}', "after[0]"),
    (b'{"command":"true","after":[9223372036854775808]}', "after[0]"),
    (b'{"command":"true","after":[9223372036854775807]}', "after"),
    (b'{"command":"true","after_any":[1.5]}', "after_any[0]"),
    (b'[{"command":"true"},{"command":"true","after":[9223372036854775807]}]', "[1].after"),
    (b'{"command":"true","name":"a\\u0000"}', "name"),
    (b'{"command":"true","name":"a\\nb"}', "name"),
    (b'{"command":"true","key":""}', "key"),
    (b'{"command":"true","cwd":"relative/path"}', "cwd"),
    (b'{"command":"true","cwd":"/a\\u0000"}', "cwd"),
    (b'{"command":"true","shell":"fish"}', "shell"),
    (b'{"command":"true","env":{"A=B":"c"}}', "env"),
    (b'{"command":"true","env":{"":"c"}}', "env"),
    (b'{"command":"true","env":{"A":1}}', "env[...]"),
    (b'{"command":"true","env":{"A":"\\u0000"}}', "env[...]"),
    (b'{"command":"true","labels":{"":"x"}}', "labels"),
    (b'{"command":"true","labels":{"a":"\\u0000"}}', "labels[...]"),
    (b'{"command":"true","dep_groups":["g"],"after_groups":["g"]}', "after_groups"),
    (b'{"tasks":[{"argv":[]}]}', "tasks[0]"),
    (b'{"tasks":[{"argv":["","x"]}]}', "tasks[0].argv"),
    (b'{"tasks":[{"command":"x","argv":["y"]}]}', "tasks[0]"),
    (b'{"tasks":[{"command":"x","retries":-5}]}', "tasks[0].retries"),
]


@pytest.mark.parametrize(("body", "field"), JOBS, ids=lambda value: repr(value)[:60])
def test_a_bad_job_is_refused_by_its_field(place: Place, body: bytes, field: str) -> None:
    refused(place.admin.post("/v1/jobs", content=body), field)


BIG = [
    ("name", {"name": "n" * 513}),
    ("command", {"command": "c" * ((4 << 20) + 1)}),
    ("labels", {"labels": {"l" * 129: "v"}}),
    ("labels", {"labels": {str(n): "v" for n in range(101)}}),
    ("labels[...]", {"labels": {"k": "v" * 5000}}),
    ("constraints", {"constraints": {str(n): "v" for n in range(101)}}),
    ("after", {"after": list(range(1, 100_002))}),
    ("dep_groups", {"dep_groups": [str(n) for n in range(1001)]}),
    ("key", {"key": "k" * 10_000}),
    ("image", {"image": "i" * 10_000}),
    ("tasks", {"command": None, "tasks": [{"command": "x"}] * 1001}),
]


@pytest.mark.parametrize(("field", "more"), BIG, ids=lambda value: str(value)[:30])
def test_what_is_too_big_is_refused(place: Place, field: str, more: dict[str, object]) -> None:
    refused(place.admin.post("/v1/jobs", json={"command": "true", **more}), field)


@pytest.mark.parametrize("opening", [b"[", b'{"command":', b'{"labels":{"a":', b'{"tasks":['])
def test_deep_nesting_is_refused(place: Place, opening: bytes) -> None:
    for path in ("/v1/jobs", "/v1/jobs/cancel", "/v1/tokens", "/v1/images", "/v1/apply"):
        refused(place.admin.post(path, content=opening * DEEP))
        closing = b"]" if opening == b"[" else b""
        refused(place.admin.post(path, content=opening * DEEP + closing * DEEP))


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/jobs/cancel", b"", "body"),
        ("/v1/jobs/cancel", b"{}", "ids"),
        ("/v1/jobs/cancel", b"[]", "body"),
        ("/v1/jobs/cancel", b'{"ids":[1],"group":"g"}', "ids"),
        ("/v1/jobs/cancel", b'{"ids":[1],"states":["ready"]}', "ids"),
        ("/v1/jobs/cancel", b'{"ids":[-1]}', "ids[0]"),
        ("/v1/jobs/cancel", b'{"ids":["1"]}', "ids[0]"),
        ("/v1/jobs/cancel", b'{"ids":[99999999999999999999999]}', "ids[0]"),
        ("/v1/jobs/cancel", b'{"group":"a\\u0000"}', "group"),
        ("/v1/jobs/cancel", b'{"states":["nosuch"]}', "state"),
        ("/v1/jobs/retry", b'{"states":[1]}', "states[0]"),
        ("/v1/jobs/retry", b'{"everything":true}', "everything"),
        ("/v1/tokens", b"{}", "user"),
        ("/v1/tokens", b'{"user":""}', "user"),
        ("/v1/tokens", b'{"user":"a\\u0000"}', "user"),
        ("/v1/tokens", b'{"user":"a\\nb"}', "user"),
        ("/v1/tokens", b'{"user":"a","scopes":["everything"]}', "scopes"),
        ("/v1/tokens", b'{"user":"a","scopes":[]}', "scopes"),
        ("/v1/tokens", b'{"user":"a","groups":["\\u0000"]}', "groups"),
        ("/v1/tokens", b'{"user":"a","groups":"g"}', "groups"),
        ("/v1/tokens", b'{"user":"a","expires":"soon"}', "expires"),
        ("/v1/tokens", b'{"user":"a","expires":0}', "expires"),
        ("/v1/tokens", b'{"user":"a","expires":-5}', "expires"),
        ("/v1/tokens", b'{"user":"a","expires":1e308}', "expires"),
        ("/v1/tokens", b'{"user":"a","expires":"999999999d"}', "expires"),
        ("/v1/tokens", b'{"user":"a","expires":"\\u0663"}', "expires"),
        ("/v1/tokens", b'{"user":"a","expires":"nan"}', "expires"),
        ("/v1/tokens", b'{"user":"a","email":"nobody"}', "email"),
        ("/v1/tokens", b'{"user":"a","email":"a\\u0000@b"}', "email"),
        ("/v1/tokens", b'{"user":"a","api_key":1}', "api_key"),
        ("/v1/images", b"{}", "name"),
        ("/v1/images", b'{"name":"a"}', "path"),
        ("/v1/images", b'{"name":"","path":"/tmp"}', "name"),
        ("/v1/images", b'{"name":" a","path":"/tmp"}', "name"),
        ("/v1/images", b'{"name":"a\\u0000","path":"/tmp"}', "name"),
        ("/v1/images", b'{"name":"a","path":"/tmp/a\\u0000b"}', "path"),
        ("/v1/images", b'{"name":"a","path":"relative"}', "path"),
        ("/v1/images", b'{"name":"a","path":"~nobody-of-that-name/x"}', "path"),
        ("/v1/images", b'{"name":"a","path":"/no/such/file"}', "path"),
        ("/v1/images", b'{"name":"a","path":"/dev/zero"}', "path"),
        ("/v1/images", b'{"name":"a","path":"/proc/self/environ"}', "path"),
        ("/v1/images", b'{"name":"a","path":"/proc/self/fd"}', None),
        ("/v1/images", b'{"name":"a","path":"/tmp","entrypoint":[]}', "entrypoint"),
        ("/v1/images", b'{"name":"a","path":"/tmp","entrypoint":["\\u0000"]}', "entrypoint"),
        ("/v1/images", b'{"name":"a","path":"/tmp","entrypoint":"sh"}', "entrypoint"),
        ("/v1/apply", b"\xff\xfe", "body"),
        ("/v1/apply", b"nosuch: [1]", None),
        ("/v1/apply", b"users: 1", None),
        ("/v1/apply", b"a: &a [*a]", None),
        ("/v1/apply", b"a: !!python/object/apply:os.system ['true']", None),
        ("/v1/apply", b"users:\n- name: \"a\\0b\"", None),
        ("/v1/apply", b"{" * 5000, None),
        ("/v1/apply", b"\x00", None),
    ],
    ids=lambda value: repr(value)[:50],
)  # fmt: skip
def test_other_bodies_are_refused_too(
    place: Place, path: str, body: bytes, field: str | None
) -> None:
    refused(place.admin.post(path, content=body), field)
    assert place.admin.get("/v1/images").json() == {"images": []}


def test_an_image_path_of_5000_characters_is_refused(place: Place) -> None:
    for path in ("/" + "x" * 4000, "/" + "/".join(["x" * 300] * 9)):
        refused(place.admin.post("/v1/images", json={"name": "a", "path": path}), "path")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=-1", "limit"), ("limit=", "limit"),
        ("limit=x", "limit"), ("limit=1e3000", "limit"), ("limit=" + "9" * 5000, "limit"),
        ("limit=1&limit=2", "limit"), ("order=sideways", "order"), ("order=", "order"),
        ("cursor=", "cursor"), ("cursor=x", "cursor"), ("cursor=-1", "cursor"),
        ("cursor=%D9%A3", "cursor"), ("cursor=" + "1" * 100, "cursor"), ("state=nosuch", "state"),
        ("state=READY", "state"), ("label=novalue", "label"), ("label==x", "label"),
        ("dialect=klingon", "dialect"), ("ids=x", "ids"), ("ids=1,,2", "ids"), ("ids=-1", "ids"),
        ("ids=", "ids"), ("ids=" + "9" * 30, "ids"), ("nosuch=1", "nosuch"), ("stat=ready", "stat"),
        ("group=a&group=b", "group"), ("group=%00", "query"), ("name=a%00b", "query"),
        ("label=a%3D%00", "query"), ("group=%ff", "query"), ("group=%ed%a0%80", "query"),
        ("%ff=1", "query"), ("group=" + "g" * 513, "group"), ("key=" + "k" * 513, "key"),
        ("owner=" + "o" * 600, "owner"), ("job=1", "job"),
    ],
    ids=lambda value: value[:40],
)  # fmt: skip
def test_bad_queries_are_refused(place: Place, query: str, field: str) -> None:
    refused(place.admin.get(f"/v1/jobs?{query}"), field)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("wait?timeout=nan", "timeout"), ("wait?timeout=-1", "timeout"),
        ("wait?timeout=61", "timeout"), ("wait?timeout=inf", "timeout"),
        ("wait?timeout=soon", "timeout"), ("stdout?offset=-1", "offset"),
        ("stdout?offset=1e40", "offset"), ("stdout?offset=99999999999999999999", "offset"),
        ("stdout?limit=0", "limit"), ("stdout?limit=999999999999", "limit"),
        ("stdout?attempt=-1", "attempt"), ("stdout?attempt=x", "attempt"),
        ("stdout?rank=-1", "rank"), ("stdout?rank=99999", "rank"),
        ("stdout?follow=maybe", "follow"), ("stderr?ofset=3", "ofset"),
    ],
)  # fmt: skip
def test_bad_queries_about_a_job_are_refused(place: Place, path: str, field: str) -> None:
    refused(place.admin.get(f"/v1/jobs/1/{path}"), field)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("after=-1", "after"), ("after=x", "after"), ("after=99999999999999999999", "after"),
        ("job=0", "job"), ("job=x", "job"), ("kind=" + "k" * 101, "kind"), ("kind=%00", "query"),
    ],
)  # fmt: skip
def test_bad_queries_for_events_are_refused(place: Place, query: str, field: str) -> None:
    refused(place.admin.get(f"/v1/events?{query}"), field)


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 19, "1, 2", "\xb2", "\xff"])
def test_a_bad_last_event_id_is_refused(place: Place, value: str) -> None:
    headers = {b"Last-Event-ID": value.encode("latin-1")}
    refused(place.admin.get("/v1/events", headers=headers), "Last-Event-ID")


@pytest.mark.parametrize("value", [b"", b"k" * 256, b"\xff\xfe", b"a\tb", b"\xc3\xa4"])
def test_a_bad_idempotency_key_is_refused(place: Place, value: bytes) -> None:
    headers = {b"Idempotency-Key": value}
    refused(place.admin.post("/v1/jobs", json={"command": "x"}, headers=headers), "Idempotency-Key")


IDS = [
    "0", "-1", "1.0", "1e2", "0x1", "1_0", "+1", "01", " 1", "%201", "%D9%A3", "9" * 19, "9" * 5000,
    "x", "..", "%2e%2e", "%2e%2e%2f1", "1%00", "%00", "%ff", "null", "NaN", "1;2", "1%2F2", "*",
    "%F0%9F%92%A9", "1%0a",
]  # fmt: skip


@pytest.mark.parametrize("number", IDS, ids=lambda value: value[:20])
def test_bad_ids_are_refused(place: Place, number: str) -> None:
    for method, path in (
        ("GET", f"/v1/jobs/{number}"), ("GET", f"/v1/jobs/{number}/wait"),
        ("GET", f"/v1/jobs/{number}/stdout"), ("POST", f"/v1/jobs/{number}/cancel"),
        ("POST", f"/v1/jobs/{number}/retry"), ("DELETE", f"/v1/jobs/{number}"),
        ("GET", f"/v1/agents/{number}"), ("POST", f"/v1/agents/{number}/drain"),
        ("DELETE", f"/v1/agents/{number}"),
    ):  # fmt: skip
        status, _ = raw(place, f"{method} {path} HTTP/1.1".encode())
        assert status in {400, 404, 405}, (method, path, status)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/images/..", "/v1/images/../tokens", "/v1/images/%2e%2e/%2e%2e/etc", "/v1/images/%00",
        "/v1/images/%ff", "/v1/images//etc/passwd", "/v1/images/a/../../b", "/v1/images/.",
        "/v1/images/" + "x" * 5000, "/v1/images/%0a", "/v1/images/%F0%9F%92%A9", "/v1/images/",
        "/v1/images/ ", "/v1/images/%5c..%5c", "/v1/tokens/..", "/v1/tokens/%00", "/v1/tokens/%ff",
        "/v1/tokens/", "/v1/tokens/" + "x" * 60_000, "/v1/tokens/%27%20or%201=1", "/v1//jobs/1",
        "//v1/jobs/1", "/v1/./jobs/1", "/v1/jobs/../tokens/x", "/V1/jobs/1", "/v1/nothing",
    ],
    ids=lambda value: value[:40],
)  # fmt: skip
def test_path_tricks_lead_nowhere(place: Place, path: str) -> None:
    status, body = raw(place, b"DELETE %b HTTP/1.1" % path.encode())
    assert status in {400, 404, 405}, (status, body[:300])


def raw(place: Place, request_line: bytes, *headers: bytes, body: bytes = b"") -> tuple[int, bytes]:
    """Send bytes that no client library would; return status and body, which must be an error."""
    port = int(place.url.rpartition(":")[2])
    token = place.admin.headers["authorization"].encode()
    lines = [request_line, b"Host: x", b"Connection: close", b"Authorization: " + token, *headers]
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    head, _, content = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    if content and b"application/json" in head and status >= 400:
        assert list(msgspec.json.decode(content)) == ["error"]
    assert status < 500, answer
    return status, content


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "PATCH", "TRACE", "CONNECT", "BREW"])
def test_other_methods_are_not_for_these_paths(place: Place, method: str) -> None:
    for path in (
        "/v1/jobs", "/v1/jobs/1", "/v1/jobs/cancel", "/v1/jobs/1/stdout", "/v1/events",
        "/v1/tokens", "/v1/tokens/x", "/v1/images", "/v1/images/x", "/v1/apply", "/v1/export",
        "/v1/info", "/v1/agents/1/drain", "/healthz", "/readyz", "/metrics", "/v1/openapi.json",
    ):  # fmt: skip
        status, _ = raw(place, f"{method} {path} HTTP/1.1".encode())
        if method == "OPTIONS":
            assert status == 204, path
        else:
            assert 400 <= status < 500, (method, path, status)


def test_a_wrong_method_is_told_the_right_ones(place: Place) -> None:
    reply = place.admin.put("/v1/jobs", json={})
    assert reply.status_code == 405
    assert {word.strip() for word in reply.headers["allow"].split(",")} >= {"GET", "POST"}
    assert "GET" in error_of(reply)["message"]


@pytest.mark.parametrize(
    "media_type",
    ["multipart/form-data; boundary=x", "application/msgpack",
     "application/xml", "text/html", "application/json-seq", "nonsense", "\xff/\xfe"],
)  # fmt: skip
def test_bodies_of_other_media_types_are_refused(place: Place, media_type: str) -> None:
    headers = {b"Content-Type": media_type.encode("latin-1")}
    for path in ("/v1/jobs", "/v1/jobs/cancel", "/v1/tokens", "/v1/images", "/v1/apply"):
        reply = place.admin.post(path, content=b'{"command":"true"}', headers=headers)
        assert refused(reply, "Content-Type", 415)["code"] == "unsupported_media_type"


def test_bodies_over_the_limit_are_refused(place: Place) -> None:
    length = b"Content-Length: %d" % (MAX_BODY + 1)
    for path in (b"/v1/jobs", b"/v1/apply", b"/v1/tokens", b"/v1/nothing"):
        status, body = raw(place, b"POST %b HTTP/1.1" % path, length)
        assert (status, msgspec.json.decode(body)["error"]["code"]) == (413, "too_large")

    def endless() -> Iterator[bytes]:
        for _ in range(MAX_BODY // (1 << 20) + 1):
            yield b" " * (1 << 20)

    reply = place.admin.post("/v1/jobs", content=endless())
    assert refused(reply, "body", 413)["code"] == "too_large"


def test_small_things_have_small_limits(place: Place) -> None:
    """A token or a choice of jobs needs no megabytes: they are refused before they are parsed."""
    blanks = b" " * (9 << 20)
    for path in ("/v1/tokens", "/v1/images", "/v1/jobs/cancel"):
        refused(place.admin.post(path, content=blanks), "body", 413)


def test_the_agents_door_takes_no_nonsense(place: Place) -> None:
    agent = Agent(place, place.name("node"))
    for path in ("/agent/lease", "/agent/report", "/agent/register", "/agent/nothing", "/agent/",
                 "/agent/output/x", "/agent/output/99999999999999999999999"):  # fmt: skip
        for body in (b"", b"\xc1", b"\x90", b"\x93\x01\x02\x03", b"\x91" * DEEP, b"\xff" * 100):
            reply = place.admin.post(path, content=body)
            assert reply.status_code in {200, 400, 404, 409}, (path, body[:9], reply.text)
    assert place.admin.get(f"/v1/agents/{agent.number}").json()["state"] == "online"


BOUNDED = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXTS = st.text(st.characters(codec=None), max_size=12)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["command", "env", "tasks", "cpus", "a"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
FIELDS = st.sampled_from([
    "tasks", "name", "group", "labels", "priority", "resources", "env", "cwd", "retry", "hooks",
    "constraints", "after", "after_groups", "mutex", "delay", "queue_timeout", "key", "pool",
])  # fmt: skip


@BOUNDED
@given(spec=st.dictionaries(FIELDS, VALUES, min_size=1, max_size=4))
def test_no_value_anywhere_is_a_defect(place: Place, spec: dict[str, object]) -> None:
    """The bad last job keeps the batch out of the store, whatever the others are."""
    bodies = ([{"command": "true", **spec}, {"command": ""}], {"command": "", **spec})
    for body in bodies:
        refused(place.admin.post("/v1/jobs", content=msgspec.json.encode(body)))


@BOUNDED
@given(body=st.binary(max_size=200) | VALUES.map(msgspec.json.encode))
def test_no_body_at_all_is_a_defect(place: Place, body: bytes) -> None:
    for path in ("/v1/jobs/retry", "/v1/tokens", "/v1/images", "/v1/apply?dry_run=true"):
        reply = place.admin.post(path, content=body)
        assert reply.status_code in {200, 400}, reply.text


@BOUNDED
@given(text=TEXTS)
def test_no_filter_is_a_defect(place: Place, text: str) -> None:
    value = text.encode("utf-8", "surrogatepass")
    for name in ("group", "owner", "name", "key", "label", "dialect", "cursor", "state"):
        query = httpx2.QueryParams({name: "x"})
        quoted = str(query)[:-1].encode() + b"".join(b"%%%02x" % byte for byte in value)
        reply = place.admin.get(f"/v1/jobs?{quoted.decode()}")
        assert reply.status_code in {200, 400}, (quoted, reply.text)
