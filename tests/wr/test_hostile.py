"""Whatever is posted, the answer is jobs or a refusal."""

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.dialects.wr.errors import RefusedError
from gristmill.dialects.wr.queries import job_defaults, limit_of, parse_query
from gristmill.dialects.wr.requests import decode_jobs
from gristmill.dialects.wr.translate import Translator, base_name
from gristmill.dialects.wr.wire import JobRequest
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.job import JobSpec, check_spec
from gristmill.store.jobs import encode_spec
from tests.wr.talk import JOBS, Wr

NAMES = [*JobRequest.__struct_fields__, "Cmd", "MEMORY", "unknown"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["1G", "1h", "/tmp", "a=b", "{}", "[]"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
POSTS = st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6) | VALUES, max_size=4)


def _accept(body: bytes, query: bytes = b"") -> list[JobSpec]:
    defaults = job_defaults(parse_query(query))
    translator = Translator(defaults, {})
    specs = [translator.translate(job).spec for job in decode_jobs(body) if not job.cloud_script]
    for spec in specs:
        check_spec(spec)
    return specs


@given(POSTS)
def test_any_json(value: Any) -> None:
    with contextlib.suppress(RefusedError, InvalidInputError):
        for spec in _accept(json.dumps(value).encode()):
            assert msgspec.msgpack.decode(encode_spec(spec), type=JobSpec) == spec


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    with contextlib.suppress(RefusedError):
        _accept(body)


@given(st.binary(max_size=60) | st.text('%&=+;0a[]{}":,cpusmemtirdk', max_size=60).map(str.encode))
def test_any_query(query: bytes) -> None:
    with contextlib.suppress(RefusedError, InvalidInputError):
        limit_of(parse_query(query))
        _accept(b'[{"cmd":"true"}]', query)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'[{"cmd":' + b"[" * 10_000,
        b'[{"cmd":"\\ud800"}]',
        b'[{"cmd":"\xff"}]',
        b'[{"cmd":"a","cpus":1' + b"0" * 400 + b"}]",
        b'[{"cmd":"a","cpus":1e400}]',
        b'[{"cmd":"a","disk":1' + b"0" * 30 + b"}]",
        b'[{"cmd":"a","priority":NaN}]',
        b'[{"cmd":"a","on_exit":' + b'[{"run":' * 3000,
        b"\x00",
        b'[{"cmd":"a\\u0000"}]',
        b'[{"cmd":"a","rep_grp":"' + b"x" * 600 + b'"}]',
        b'[{"cmd":"a","env":["=x"]}]',
        b'[{"cmd":"a","mounts":[{"Targets":[]}]}]',
        b'[{"cmd":"a","dep_grps":[""]}]',
    ],
)
def test_refused_and_nothing_added(idle: Wr, body: bytes) -> None:
    before = idle.jobs()
    reply = idle.client.post(JOBS, content=body)
    assert reply.status_code == 400, reply.text
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.text.endswith("\n")
    assert idle.jobs() == before


@pytest.mark.parametrize(
    "target", ["/rest/v1/jobs/%ff", "/rest/v1/jobs/%00", "/rest/v1/jobs/..%2f..", "/rest//v1/jobs/"]
)
def test_odd_paths(idle: Wr, target: str) -> None:
    assert idle.client.get(target).status_code in {200, 404}


@pytest.mark.parametrize(
    ("command", "name"),
    [("a b", "a"), ("/bin/env x", "env"), ("dir/", "dir"), ("/", "/"), (" a", "."), ("./b", "b")],
)
def test_the_kind_of_a_command(command: str, name: str) -> None:
    assert base_name(command) == name
