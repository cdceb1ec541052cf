from itertools import product

import pytest

from gristmill.domain.state import (
    ACTIVE,
    BUCKETS,
    BY_WORD,
    HELD,
    INITIAL,
    PENDING,
    TERMINAL,
    IllegalMoveError,
    JobState,
    Trigger,
    allowed,
    check,
)

S, T = JobState, Trigger

MOVES = {
    (T.DEPENDENCIES_MET, S.WAITING): {S.READY, S.DELAYED},
    (T.DEPENDENCY_ADDED, S.WAITING): {S.WAITING},
    (T.DEPENDENCY_ADDED, S.READY): {S.WAITING},
    (T.DEPENDENCY_ADDED, S.DELAYED): {S.WAITING},
    (T.DEPENDENCY_ADDED, S.COMPLETE): {S.WAITING},
    (T.DELAY_OVER, S.DELAYED): {S.READY},
    (T.POSTPONE, S.READY): {S.DELAYED},
    (T.LEASE, S.READY): {S.RESERVED},
    (T.LEASE_RETURNED, S.RESERVED): {S.READY},
    (T.START, S.RESERVED): {S.RUNNING},
    (T.RECOVER, S.LOST): {S.RESERVED, S.RUNNING},
    **{(T.SUCCEED, state): {S.COMPLETE} for state in HELD},
    **{(T.FAIL_RETRY, state): {S.READY, S.DELAYED} for state in HELD},
    **{(T.FAIL_FINAL, state): {S.BURIED} for state in HELD},
    (T.LOSE, S.RESERVED): {S.LOST},
    (T.LOSE, S.RUNNING): {S.LOST},
    **{(T.CANCEL, state): {S.CANCELLED} for state in ACTIVE | {S.BURIED}},
    **{
        (T.RETRY, state): {S.READY, S.WAITING}
        for state in (S.BURIED, S.CANCELLED, S.COMPLETE, S.DELAYED)
    },
    **{(T.EXPIRE, state): {S.BURIED} for state in PENDING},
}
"""The table written out a second time, by hand: a change of one must be meant."""


@pytest.mark.parametrize("trigger", [trigger for trigger in T if trigger is not T.SUBMIT])
def test_the_whole_table(trigger: Trigger) -> None:
    for source, target in product(S, S):
        targets = MOVES.get((trigger, source), set())
        assert allowed(trigger, source) == bool(targets), (trigger, source)
        if target in targets:
            assert check(trigger, source, target) is target
        else:
            with pytest.raises(IllegalMoveError, match=source.word):
                check(trigger, source, target)


def test_what_has_ended_only_moves_when_somebody_asks() -> None:
    asked = {T.RETRY, T.CANCEL, T.DEPENDENCY_ADDED}
    for trigger, source in MOVES:
        assert source not in TERMINAL or trigger in asked, (trigger, source)


def test_every_state_leads_to_an_end_and_can_be_reached() -> None:
    steps = [(source, target) for (_, source), targets in MOVES.items() for target in targets]
    reached, ending = set(INITIAL), set(TERMINAL)
    for _ in S:
        reached |= {target for source, target in steps if source in reached}
        ending |= {source for source, target in steps if target in ending}
    assert reached == ending == set(S)


def test_the_sets_partition_the_states() -> None:
    assert set(S) == TERMINAL | HELD | PENDING
    assert len(TERMINAL) + len(HELD) + len(PENDING) == len(S)
    assert {state.word: state for state in S} == BY_WORD
    assert set(BUCKETS) == set(S)


def test_a_job_that_is_leased_and_run_never_leaves_its_bucket() -> None:
    assert len({BUCKETS[state] for state in HELD | {S.READY}}) == 1
    others = [BUCKETS[state] for state in S if state not in HELD | {S.READY}]
    assert len(set(others)) == len(others)
    assert BUCKETS[S.READY] not in others
