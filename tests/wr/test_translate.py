"""What a posted job means to the core: defaults, and what no status shows."""

from random import Random

import msgspec
import pytest

from gristmill.dialects.wr.errors import RefusedError
from gristmill.dialects.wr.queries import job_defaults, parse_query
from gristmill.dialects.wr.translate import Translator
from gristmill.dialects.wr.wire import JobRequest, MountConfig
from gristmill.domain.job import Hook, JobSpec
from gristmill.domain.learning import Override, settle
from gristmill.domain.retry import backoff


def _spec(query: str = "", **fields: object) -> JobSpec:
    job = JobRequest(**{"cmd": "/usr/bin/env -i x", **fields})  # type: ignore[arg-type]
    return Translator(job_defaults(parse_query(query.encode())), {}).translate(job).spec


def test_defaults() -> None:
    spec = _spec()
    assert (spec.shell, spec.command, spec.cwd, spec.create_cwd) == (
        "bash", "/usr/bin/env -i x", "/tmp", True,
    )  # fmt: skip
    assert (spec.group, spec.priority, spec.retry.retries) == ("manually_added", 0, 0)
    assert (spec.resources.cpus, spec.resources.memory, spec.resources.disk) == (0, 1024, 0)
    assert spec.learn is not None
    assert (spec.learn.bucket, spec.learn.seconds, spec.learn.override) == ("env", 3600.0, 0)
    assert not spec.learn.disk_given
    assert spec.hooks.on_exit == spec.hooks.on_failure == spec.hooks.on_success == ()
    assert (spec.dep_groups, spec.after_groups, spec.env, spec.mounts) == ((), (), {}, ())
    assert (spec.keep_output, spec.watch_container) == ("failure", "")


def test_pauses_between_attempts() -> None:
    policy = _spec(retries=9).retry
    assert policy.fatal_exit_codes == (126, 127, 128)
    for failures, least in enumerate((30, 60, 120, 240, 480, 960, 1800, 1800), start=1):
        pauses = [backoff(policy, failures, Random(seed)) for seed in range(200)]
        assert least <= min(pauses) < least + 1
        assert least + 29 < max(pauses) <= least + 30


@pytest.mark.parametrize(
    ("query", "fields", "given"),
    [
        ("", {}, False), ("", {"disk": 0}, True), ("", {"disk": 1}, True), ("disk=0", {}, True),
        ("disk=", {}, True), ("disk=x", {}, True),
    ],
)  # fmt: skip
def test_disk_that_is_set_to_nothing_is_set(
    query: str, fields: dict[str, object], given: bool
) -> None:
    learn = _spec(query, override=2, **fields).learn
    assert learn is not None
    assert learn.disk_given is given
    wanted = settle(0, 500, Override(learn.override), given=learn.disk_given)
    assert wanted == (0 if given else 500)


def test_lists_of_the_query_are_split_at_commas() -> None:
    spec = _spec("env=A=1,B=x=y&deps=a,b&dep_grps=c")
    assert (spec.env, spec.after_groups, spec.dep_groups) == (
        {"A": "1", "B": "x=y"}, ("a", "b"), ("c",),
    )  # fmt: skip


def test_a_flag_cannot_be_taken_back() -> None:
    spec = _spec("cwd_matters=true&change_home=true", cwd_matters=False, change_home=False)
    assert spec.workspace is None
    spec = _spec("change_home=true", change_home=False)
    assert spec.workspace is not None
    assert spec.workspace.home


def test_where_attempts_run() -> None:
    workspace = _spec(cmd="sleep 5").workspace
    assert workspace is not None
    assert workspace.path == "wr_cwd/e/a/4/266bc0fc7dd493caeb2fff1963e4a"


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("a | b", "set -o pipefail; a | b"), ("a|b", "a|b"), ("a |b", "a |b"), ("a || b", "a || b"),
    ],
)  # fmt: skip
def test_pipes(command: str, given: str) -> None:
    assert _spec(cmd=command).command == given


def test_behaviours_of_the_query() -> None:
    spec = _spec("on_success=%5B%7B%22run%22%3A%22a%20%7C%20b%22%7D%5D")
    assert spec.hooks.on_success == (Hook(run="set -o pipefail; a | b"),)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("priority=-1", "priority value (-1) is not in the range 0..255"),
        ("retries=-1", "retries value (-1) is not in the range 0..255"),
        ("override=-1", "override value (-1) is not in the range 0..2"),
        ("disk=-1", "disk value (-1) is not in the range 0..1073741824"),
    ],
)
def test_numbers_out_of_range(query: str, why: str) -> None:
    with pytest.raises(RefusedError) as caught:
        _spec(query)
    assert caught.value.status == 400
    assert caught.value.text == f"there was a problem interpreting your job: {why}"


def test_defaults_of_mounts() -> None:
    targets = [{"Path": "a", "Write": True}, {"Path": "b", "Profile": "p", "CacheDir": "/c"}]
    mounts = msgspec.convert([{"Targets": targets}], list[MountConfig])
    (mount,) = _spec(mounts=mounts).mounts
    assert (mount.path, mount.retries) == (None, 10)
    assert [(each.cache, each.write) for each in mount.targets] == [(True, True), (False, False)]
    (mount,) = _spec(mounts=mounts, cwd_matters=True).mounts
    assert mount.path == "mnt"
