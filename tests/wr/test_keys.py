"""Keys: every vector that clients rely on, with and without the compiled hash."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gristmill.dialects.wr.fingerprint import fingerprint128
from gristmill.dialects.wr.keys import fingerprint, job_key, mount_key
from gristmill.dialects.wr.wire import MountConfig, MountTarget

VECTORS = {
    b"sleep 5.": "ea4266bc0fc7dd493caeb2fff1963e4a",
    b"sleep 5 && echo mymsg && false.": "58cef10e7a340c3b7fa09ea304a3cb98",
    b"echo 1 && true.": "de6d167c58701e55f5b9f9e1e91d7807",
    b"echo 2 && true.": "f5c0d6240167a6e0b803e23f74e3a085",
    b"/tmp.echo 3 && false.": "db1e7d99becace3306c1c2470331c78e",
    b"echo defaults./tmp/wr_mnt:default-mybucket/subdir;": "b17c665295e0a3fcf2e07c6d7ad6ddd4",
}


@pytest.mark.parametrize("function", [fingerprint128, fingerprint])
@pytest.mark.parametrize("data", VECTORS)
def test_vectors(function: Callable[[bytes], int], data: bytes) -> None:
    assert f"{function(data):032x}" == VECTORS[data]


@given(st.binary(max_size=700))
@example(b"")
@example(bytes(16))
@example(bytes(127))
@example(bytes(128))
@example(bytes(256))
def test_plain_python_agrees_with_the_compiled_hash(data: bytes) -> None:
    compiled = pytest.importorskip("farmhash")
    assert fingerprint128(data) == compiled.Fingerprint128(data)


@pytest.mark.parametrize("size", range(300))
def test_every_short_length(size: int) -> None:
    compiled = pytest.importorskip("farmhash")
    data = bytes((7 * place + size) % 256 for place in range(size))
    assert fingerprint128(data) == compiled.Fingerprint128(data)


def test_key_of_a_job() -> None:
    assert job_key("sleep 5") == VECTORS[b"sleep 5."]
    assert job_key("echo 3 && false", "/tmp") == VECTORS[b"/tmp.echo 3 && false."]
    mount = MountConfig(
        mount="/tmp/wr_mnt", targets=[MountTarget(path="mybucket/subdir", write=True)]
    )
    assert job_key("echo defaults", None, [mount]) == "b17c665295e0a3fcf2e07c6d7ad6ddd4"


def test_mounts_are_sorted_and_blanks_have_names() -> None:
    mounts = [
        MountConfig(mount="/b", targets=[MountTarget(path="two"), MountTarget(path="three")]),
        MountConfig(targets=[MountTarget(profile="me", path="one")]),
    ]
    assert mount_key(mounts) == "mnt:me-one;/b:default-two;default-three;"
    assert mount_key([]) == ""


def test_commands_outside_ascii_are_hashed_as_utf8() -> None:
    assert job_key("echo é") == f"{fingerprint('echo é.'.encode()):032x}"
