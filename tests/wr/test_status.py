"""Statuses field by field, for the moments that nobody can catch over the wire too."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from gristmill.dialects.wr.status import Seen, states_of, status
from gristmill.dialects.wr.translate import Translator
from gristmill.dialects.wr.wire import ZERO_TIME, JobRequest, encode
from gristmill.domain import outcome
from gristmill.domain.dialect import Dialect
from gristmill.domain.state import JobState
from gristmill.services.queue.glances import Glance, LastAttempt
from gristmill.services.queue.views import Expected, Listed, Words
from gristmill.store.jobs import JobHead, JobRow

UNSET: Mapping[str, Any] = {
    "Key": "ea4266bc0fc7dd493caeb2fff1963e4a", "RepGroup": "g", "DepGroups": None,
    "Dependencies": None, "Cmd": "sleep 5", "State": "ready", "Cwd": "", "CwdBase": "/tmp",
    "HomeChanged": False, "Behaviours": "", "Mounts": "", "MonitorDocker": "",
    "ExpectedRAM": 1024, "ExpectedTime": 3600, "RequestedDisk": 0, "OtherRequests": None,
    "Cores": 0, "PeakRAM": 0, "Exited": False, "Exitcode": 0, "FailReason": "", "Pid": 0,
    "Host": "", "HostID": "", "HostIP": "", "Walltime": 0, "CPUtime": 0, "Started": ZERO_TIME,
    "Ended": ZERO_TIME, "StdErr": "", "StdOut": "", "Env": None, "Attempts": 0, "Similar": 0,
}  # fmt: skip
"""What a job shows that has never run, in the order it is written."""

NOW = 1_700_000_100.0
FIRST = LastAttempt(
    number=1, agent_id=4, started_at=NOW - 90, ended_at=NOW - 80.5, pid=77,
    cwd="/tmp/wr_cwd/e/a/4/266bc0fc7dd493caeb2fff1963e4a5/cwd", peak_memory=13, cpu_seconds=0.25,
    exit_code=3, reason=outcome.NON_ZERO_EXIT, message=None,
)  # fmt: skip
SECOND = FIRST._replace(
    number=2, started_at=NOW - 7.25, ended_at=None, pid=78, peak_memory=None, cpu_seconds=None,
    exit_code=None, reason=None,
)  # fmt: skip
ASKED, EXPECTED = JobRequest(cmd="sleep 5"), Expected(1024, 3600.0, 0)
PLAIN = Seen(NOW, {4: ("node4", "10.0.0.4")})
SEEN = Seen(NOW, {4: ("node4", "10.0.0.4")}, {1: ("out", "err")}, {"PATH": "/bin"})


def _shown(
    state: JobState,
    last: LastAttempt | None = None,
    before: LastAttempt | None = None,
    *,
    asked: JobRequest = ASKED,
    seen: Seen = PLAIN,
    expected: Expected = EXPECTED,
    **head: Any,
) -> dict[str, Any]:
    fields = {
        "id": 1, "state": state, "shape_id": 1, "priority": 0, "group_id": 1, "owner_id": 1,
        "project_id": 1, "dialect": Dialect.WR.value, "mutex_id": None, "parked": 0, "unmet": 0,
        "retries_left": 0, "failures": 0, "attempt": 0, "agent_id": None, "cancel_requested": 0,
        "created_at": 0.0, "ready_at": None, "started_at": None, "ended_at": None,
        "exit_code": None, "reason": None, "starts": 0, "node_id": None, "stored_bucket": 3,
    }  # fmt: skip
    job = Translator(JobRequest(), {}).translate(asked)
    row = JobRow(JobHead(**{**fields, **head}), "", job.spec.key, job.spec, job.extra, None, None)
    glance = Glance(Listed(row, Words("ann", "g", ""), expected), last, before)
    shown: dict[str, Any] = json.loads(encode(status(glance, seen)))
    return shown


def test_what_has_never_run() -> None:
    shown = _shown(JobState.READY)
    assert shown == UNSET
    assert list(shown) == list(UNSET)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (JobState.WAITING, "dependent"), (JobState.DELAYED, "delayed"), (JobState.READY, "ready"),
        (JobState.RESERVED, "reserved"), (JobState.RUNNING, "running"), (JobState.LOST, "lost"),
        (JobState.BURIED, "buried"), (JobState.COMPLETE, "complete"),
        (JobState.CANCELLED, "deleted"),
    ],
)  # fmt: skip
def test_words_for_states(state: JobState, word: str) -> None:
    assert _shown(state)["State"] == word


@pytest.mark.parametrize(
    ("word", "states"),
    [
        ("delayed", {JobState.DELAYED}), ("ready", {JobState.READY}),
        ("reserved", {JobState.RESERVED, JobState.RUNNING}),
        ("running", {JobState.RESERVED, JobState.RUNNING}), ("lost", {JobState.LOST}),
        ("buried", {JobState.BURIED}), ("dependent", {JobState.WAITING}),
        ("complete", {JobState.COMPLETE}),
        ("deletable", {JobState.WAITING, JobState.DELAYED, JobState.READY, JobState.RESERVED,
                       JobState.LOST, JobState.BURIED}),
        ("deleted", None), ("", None), ("Ready", None),
    ],
)  # fmt: skip
def test_what_a_filter_selects(word: str, states: set[JobState] | None) -> None:
    assert states_of(word) == states


def test_a_reservation_forgets_the_attempt_before_but_not_all_of_it() -> None:
    shown = _shown(
        JobState.RESERVED, None, FIRST, attempt=2, starts=1, failures=1, exit_code=3,
        reason=outcome.NON_ZERO_EXIT, agent_id=4,
    )  # fmt: skip
    forgotten = ("Exited", "Pid", "Host", "Started", "Ended", "PeakRAM", "Walltime")
    assert [shown[name] for name in forgotten] == [UNSET[name] for name in forgotten]
    assert shown["Exitcode"] == -1
    assert (shown["FailReason"], shown["HostID"]) == ("command exited non-zero", "")
    assert (shown["HostIP"], shown["CPUtime"], shown["Attempts"]) == ("10.0.0.4", 0.25, 1)


def test_a_second_attempt_that_runs() -> None:
    shown = _shown(
        JobState.RUNNING, SECOND, FIRST, attempt=2, starts=2, failures=1, agent_id=4,
        started_at=SECOND.started_at,
    )  # fmt: skip
    assert (shown["Exited"], shown["Exitcode"]) == (False, -1)
    assert (shown["Walltime"], shown["Ended"]) == (7.25, ZERO_TIME)
    assert shown["Started"] == 1_700_000_092
    assert (shown["Pid"], shown["Host"], shown["PeakRAM"]) == (78, "node4", 0)
    assert shown["FailReason"] == "command exited non-zero"
    assert shown["Cwd"] == "/wr_cwd/e/a/4/266bc0fc7dd493caeb2fff1963e4a5/cwd"


def test_a_failed_attempt() -> None:
    shown = _shown(
        JobState.DELAYED, FIRST, attempt=1, starts=1, failures=1, exit_code=3,
        reason=outcome.NON_ZERO_EXIT, started_at=FIRST.started_at, ended_at=FIRST.ended_at,
        seen=SEEN,
    )  # fmt: skip
    assert (shown["Exited"], shown["Exitcode"], shown["Walltime"]) == (True, 3, 9.5)
    assert (shown["Started"], shown["Ended"]) == (1_700_000_010, 1_700_000_019)
    assert (shown["PeakRAM"], shown["CPUtime"]) == (13, 0.25)
    assert (shown["StdOut"], shown["StdErr"], shown["Env"]) == ("out", "err", ["PATH=/bin"])


def test_a_lost_attempt_shows_when_contact_was_lost() -> None:
    lost = SECOND._replace(number=1)
    shown = _shown(
        JobState.LOST, lost, attempt=1, starts=1, agent_id=4, started_at=lost.started_at,
        ended_at=NOW - 2, reason=outcome.LOST,
    )  # fmt: skip
    assert (shown["Exited"], shown["Exitcode"]) == (False, -1)
    assert (shown["Walltime"], shown["Ended"]) == (5.25, 1_700_000_098)
    assert shown["FailReason"] == "lost contact with runner"


def test_a_lost_attempt_that_is_confirmed() -> None:
    lost = SECOND._replace(number=1)
    shown = _shown(
        JobState.BURIED, lost, attempt=1, starts=1, failures=1, started_at=lost.started_at,
        ended_at=NOW - 2, reason=outcome.LOST,
    )  # fmt: skip
    assert (shown["Exited"], shown["Exitcode"]) == (True, -1)
    assert (shown["Walltime"], shown["Ended"]) == (5.25, ZERO_TIME)
    assert shown["FailReason"] == "lost contact with runner"


def test_success_clears_the_reason() -> None:
    done = FIRST._replace(number=2, exit_code=0, reason=None)
    shown = _shown(
        JobState.COMPLETE, done, FIRST, attempt=2, starts=2, failures=1, exit_code=0,
        started_at=done.started_at, ended_at=done.ended_at,
    )  # fmt: skip
    assert (shown["Exited"], shown["Exitcode"], shown["FailReason"]) == (True, 0, "")
    assert shown["Attempts"] == 2


@pytest.mark.parametrize("code", [-9, -15])
def test_a_command_that_a_signal_ended_has_no_exit_code(code: int) -> None:
    ended = FIRST._replace(exit_code=code, reason=outcome.SIGNALLED)
    shown = _shown(JobState.BURIED, ended, attempt=1, exit_code=code, reason=outcome.SIGNALLED)
    assert (shown["Exitcode"], shown["FailReason"]) == (-1, "command exited non-zero")


def test_only_the_upload_failed() -> None:
    ended = FIRST._replace(exit_code=0, reason=outcome.UPLOAD_FAILED)
    shown = _shown(JobState.DELAYED, ended, attempt=1, exit_code=0, reason=outcome.UPLOAD_FAILED)
    assert shown["Exitcode"] == -2
    assert shown["FailReason"] == "failed to upload files to remote file system"


@pytest.mark.parametrize(("megabytes", "gigabytes"), [(0, 0), (1, 1), (1024, 1), (1025, 2)])
def test_disk_is_told_in_gigabytes_rounded_up(megabytes: int, gigabytes: int) -> None:
    shown = _shown(JobState.READY, expected=Expected(100, 0.5, megabytes))
    assert (shown["RequestedDisk"], shown["ExpectedRAM"]) == (gigabytes, 100)
    assert shown["ExpectedTime"] == 0.5


@pytest.mark.parametrize(
    ("cores", "written"), [(2.0, b'"Cores":2,'), (0.5, b'"Cores":0.5,'), (3, b'"Cores":3,')]
)
def test_whole_numbers_have_no_point(cores: float, written: bytes) -> None:
    shown = json.dumps(
        _shown(JobState.READY, asked=JobRequest(cmd="x", cpus=cores)), separators=(",", ":")
    )
    assert written in shown.encode()
