"""``/kv``: the table of the key-value store, row by row."""

import pytest

from tests.prominence.talk import Prominence


def put(user: Prominence, key: str, value: bytes = b"v", **query: str) -> None:
    reply = user.ask("POST", f"/kv/{key}", content=value, params=query)
    assert (reply.status_code, reply.text) == (201, "{}\n")


def keys(user: Prominence, prefix: str = "") -> list[str]:
    found: list[str] = user.get(f"/kv/{prefix}" if prefix else "/kv", list="true")
    return found


def value(user: Prominence, key: str) -> bytes:
    reply = user.ask("GET", f"/kv/{key}")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    return reply.content


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "image/png", "multipart/x"])
def test_values_are_raw_bytes_whatever_they_are_called(idle: Prominence, kind: str) -> None:
    data = bytes(range(256))
    reply = idle.ask("POST", "/kv/k", content=data, headers={"Content-Type": kind})
    assert reply.status_code == 201
    assert value(idle, "k") == data


def test_what_is_missing_and_what_is_too_much(idle: Prominence) -> None:
    assert idle.refused("GET", "/kv/nothing", 404) == "No such key"
    assert idle.refused("GET", "/kv") == "Key not specified"
    assert idle.refused("POST", "/kv", content=b"v") == "Key not specified"
    assert idle.refused("DELETE", "/kv") == "Key not specified"
    assert idle.refused("POST", "/kv/k", content=b"") == "No value provided"
    put(idle, "k", b"x" * 16_000)
    assert idle.refused("POST", "/kv/k", content=b"x" * 16_001) == "Content of value too large"
    assert idle.refused("POST", "/kv/k", content=iter([b"x" * 9_000] * 2)) == (
        "Content of value too large"
    )
    assert value(idle, "k") == b"x" * 16_000
    idle.refused("POST", "/kv/" + "x" * 1025, content=b"v")
    idle.refused("POST", "/kv/a%00b", content=b"v")


def test_an_atomic_replacement(idle: Prominence) -> None:
    put(idle, "lock", b"free")
    put(idle, "lock", b"mine", prev="free")
    refusal = idle.refused("POST", "/kv/lock", content=b"theirs", params={"prev": "free"})
    assert refusal == "Atomic replacement not successful"
    refusal = idle.refused("POST", "/kv/new", content=b"x", params={"prev": "y"})
    assert refusal == "Atomic replacement not successful"
    assert value(idle, "lock") == b"mine"
    assert keys(idle) == ["/lock"]


def test_keys_are_listed_with_a_slash_and_without_internal_ones(idle: Prominence) -> None:
    for key in ("a", "a/b", "a_b", "b", "x_internal_y", "ü"):
        put(idle, key, key.encode())
    assert keys(idle) == ["/a", "/a/b", "/a_b", "/b", "/ü"]
    assert keys(idle, "a") == ["/a", "/a/b", "/a_b"]
    assert keys(idle, "a_") == ["/a_b"]
    assert keys(idle, "%25") == []
    assert idle.get("/kv/a/", list="", values="") == [{"/a": "a"}, {"/a/b": "a/b"}, {"/a_b": "a_b"}]
    assert value(idle, "x_internal_y") == b"x_internal_y"


def test_the_client_writes_two_slashes(idle: Prominence) -> None:
    put(idle, "/mykey", b"here")
    assert value(idle, "/mykey") == value(idle, "mykey") == b"here"
    assert keys(idle) == ["/mykey"]


def test_deleting_one_and_all_that_begin_alike(idle: Prominence) -> None:
    for key in ("a", "a/b", "ab", "b", "c1", "c2"):
        put(idle, key)
    for path, query in (
        ("a", {}),
        ("nothing", {}),
        ("a/", {"prefix": "True"}),
        ("", {"prefix": "c"}),
    ):
        reply = idle.ask("DELETE", f"/kv/{path}", params=query)
        assert (reply.status_code, reply.text) == (200, "{}\n")
    assert keys(idle) == ["/b"]


def test_bob_and_bobby_do_not_meet(idle: Prominence) -> None:
    bob, bobby = idle.other("bob"), idle.other("bobby")
    put(bob, "bykey", b"bob's")
    put(bobby, "key", b"bobby's")
    assert (keys(bob), keys(bobby)) == (["/bykey"], ["/key"])
    assert bob.refused("GET", "/kv/key", 404) == "No such key"
    bob.ask("DELETE", "/kv/b", params={"prefix": "True"})
    assert (keys(bob), keys(bobby)) == ([], ["/key"])
    assert value(bobby, "key") == b"bobby's"


def test_a_thousand_keys_are_all_listed(idle: Prominence) -> None:
    for number in range(1003):
        put(idle, f"k{number:04}")
    assert keys(idle) == [f"/k{number:04}" for number in range(1003)]
    assert len(idle.get("/kv", list="", values="")) == 1003
