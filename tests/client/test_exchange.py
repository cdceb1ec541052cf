import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.client import calls
from gristmill.client.errors import ServerError, UnreachableError, WaitTimeoutError
from gristmill.client.exchange import LONGEST_PAUSE, Call, Patience, Reply
from gristmill.client.models import Counts
from gristmill.client.talks import Deadline, GroupWatch, OutputTail, wait
from gristmill.domain.errors import (
    ConflictError,
    GristmillError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    UnavailableError,
)
from gristmill.domain.job import JobSpec
from gristmill.domain.state import BY_WORD

VIEW = {
    "id": 7, "name": "", "group": "", "state": "ready", "owner": "admin", "project": "",
    "dialect": "native", "priority": 0, "labels": {}, "command": "true",
    "resources": {"cpus": 1.0, "memory": 1024}, "created_at": "2026-03-01T12:00:00Z",
}  # fmt: skip


def reply(document: object, status: int = 200) -> Reply:
    return Reply(status, {}, json.dumps(document).encode())


def problem(code: str, **more: str) -> dict[str, object]:
    return {"error": {"code": code, "message": "what is wrong", **more}}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_input", InvalidInputError),
        (413, "too_large", InvalidInputError),
        (401, "not_authenticated", NotAuthenticatedError),
        (403, "not_permitted", NotPermittedError),
        (404, "not_found", NotFoundError),
        (409, "conflict", ConflictError),
        (429, "too_many_requests", UnavailableError),
        (503, "unavailable", UnavailableError),
        (405, "method_not_allowed", ServerError),
        (415, "unsupported_media_type", ServerError),
        (500, "internal", ServerError),
    ],
)
def test_every_error_of_the_server_is_its_own_exception(
    status: int, code: str, kind: type[GristmillError]
) -> None:
    with pytest.raises(kind, match="what is wrong") as caught:
        calls.get(1).answer(reply(problem(code), status))
    assert type(caught.value) is kind


def test_the_field_of_an_error_is_kept() -> None:
    with pytest.raises(InvalidInputError) as caught:
        calls.get(1).answer(reply(problem("invalid_input", field="jobs[3].command"), 400))
    assert caught.value.field == "jobs[3].command"


@pytest.mark.parametrize("body", [b"", b"<html>Bad Gateway</html>", b'{"error": "words"}', b"\xff"])
@pytest.mark.parametrize(("status", "kind"), [(502, UnavailableError), (404, ServerError)])
def test_errors_of_something_else_on_the_way_are_told(
    body: bytes, status: int, kind: type[GristmillError]
) -> None:
    with pytest.raises(kind, match=f"status {status}"):
        calls.get(1).answer(Reply(status, {}, body))


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id": 1}', b"not json", b"\xff\xfe"])
def test_a_reply_that_is_not_ours_is_told(body: bytes) -> None:
    with pytest.raises(ServerError, match="is this a Gristmill server"):
        calls.get(1).answer(Reply(200, {}, body))


def test_a_redirect_is_not_followed() -> None:
    with pytest.raises(ServerError, match="check the URL"):
        calls.info().answer(Reply(301, {}, b""))


def test_a_newer_server_may_say_more() -> None:
    view = calls.wait(7, 0).answer(reply({**VIEW, "colour": "green"}))
    assert view.id == 7
    assert view.resources.memory == 1024
    assert not view.ended


def test_a_submission_carries_its_key_and_leaves_defaults_out() -> None:
    request = calls.submit(JobSpec(command="true"), "k").request
    assert request.body == b'{"command":"true"}'
    assert request.headers["Idempotency-Key"] == "k"
    assert request.repeatable
    assert not calls.cancel(1).request.repeatable


def test_a_large_batch_is_given_time() -> None:
    request = calls.submit_many([JobSpec(command="true")] * 5000, "k").request
    assert request.wait == 5


def test_filters_become_parameters() -> None:
    request = calls.jobs(
        {"state": ("ready", "running"), "group": None, "label": {"a": "b=c", "d": ""}, "limit": 5},
        "next",
    ).request
    assert request.params == (
        ("state", "ready,running"),
        ("label", "a=b=c"),
        ("label", "d="),
        ("limit", "5"),
        ("cursor", "next"),
    )


def test_names_are_quoted_in_paths() -> None:
    path = calls.remove_image("lib/a b:1?x#y%2f").request.path
    assert path == "/v1/images/lib/a%20b:1%3Fx%23y%252f"


def test_an_output_reply_tells_where_to_go_on() -> None:
    call = calls.output(calls.output_request(3, "stderr", {"offset": 5, "attempt": None}))
    assert call.request.path == "/v1/jobs/3/stderr"
    assert call.request.params == (("offset", "5"),)
    headers = {"Gristmill-Next-Offset": "8", "Gristmill-Ended": "true"}
    piece = call.answer(Reply(200, headers, b"abc"))
    assert (piece.data, piece.next_offset, piece.ended) == (b"abc", 8, True)
    with pytest.raises(ServerError):
        call.answer(Reply(200, {}, b"abc"))


def test_waiting_goes_on_until_the_job_has_ended() -> None:
    talk = wait(7, Deadline(None, Clock()))
    call = next(talk)
    assert dict(call.request.params) == {"timeout": "60.000"}
    call = talk.send(call.answer(reply(VIEW)))
    with pytest.raises(StopIteration) as stop:
        talk.send(call.answer(reply({**VIEW, "state": "buried"})))
    assert stop.value.value.state == "buried"


def test_waiting_ends_at_its_deadline() -> None:
    clock = Clock()
    talk = wait(7, Deadline(1.5, clock))
    call = next(talk)
    assert call.request.wait == 1.5
    clock.now = 2
    with pytest.raises(WaitTimeoutError, match=r"job 7 is ready, it has not ended after 1.5 sec"):
        talk.send(call.answer(reply(VIEW)))


def counts(**numbers: int) -> Counts:
    full = {**dict.fromkeys(BY_WORD, 0), **numbers}
    return Counts(counts=full, total=sum(full.values()))


def test_a_group_is_watched_less_often_when_nothing_changes() -> None:
    watch = GroupWatch("g", Deadline(None, Clock()))
    busy = [watch.pause(counts(running=number)) for number in range(9, 5, -1)]
    idle = [watch.pause(counts(running=6)) for _ in range(20)]
    assert len(set(busy)) == 1
    assert idle[-1] == 0.5
    assert watch.pause(counts(buried=2, complete=4)) is None


def test_an_unknown_group_is_told() -> None:
    with pytest.raises(NotFoundError, match="'g'"):
        GroupWatch("g", Deadline(None, Clock())).pause(counts())


def test_a_group_is_not_watched_past_the_deadline() -> None:
    clock = Clock()
    watch = GroupWatch("g", Deadline(1, clock))
    clock.now = 0.99
    assert watch.pause(counts(lost=1)) == pytest.approx(0.01)
    clock.now = 1
    with pytest.raises(WaitTimeoutError):
        watch.pause(counts(lost=1))


def test_a_tail_goes_on_where_it_stopped() -> None:
    tail = OutputTail(1, "stdout", {"offset": 10, "rank": 2, "limit": 7})
    tail.took(b"abc")
    assert dict(tail.follow().params) == {"offset": "13", "rank": "2", "follow": "true"}
    assert dict(tail.piece().request.params) == {"offset": "13", "rank": "2", "limit": "7"}


def test_patience_is_for_servers_that_answered_and_requests_that_may_be_repeated() -> None:
    patience = Patience(30, Clock())
    error = UnreachableError("gone")
    for repeatable, answered in ((True, False), (False, True)):
        with pytest.raises(UnreachableError):
            patience.pause(error, repeatable=repeatable, answered=answered)
    assert patience.pause(error, repeatable=True, answered=True) > 0


@given(st.lists(st.floats(0, 5), max_size=60))
def test_patience_ends(steps: list[float]) -> None:
    clock = Clock()
    patience = Patience(30, clock)
    error = UnreachableError("gone")
    for step in steps:
        try:
            pause = patience.pause(error, repeatable=True, answered=True)
        except UnreachableError:
            assert clock.now >= 30
            patience.reset()
            clock.now = 0
            continue
        assert 0 < pause <= LONGEST_PAUSE
        clock.now += step + pause


def test_replies_can_be_encoded_again() -> None:
    view = calls.wait(7, 0).answer(reply(VIEW))
    assert json.loads(msgspec.json.encode(view))["created_at"] == "2026-03-01T12:00:00Z"


def test_calls_are_values() -> None:
    assert isinstance(calls.info(), Call)
    assert calls.info().request == calls.info().request
