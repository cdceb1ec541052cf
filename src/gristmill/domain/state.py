"""The states of a job and the one table of the moves between them."""

from enum import IntEnum, StrEnum


class JobState(IntEnum):
    """Where a job stands. The numbers are stored; never renumber."""

    WAITING = 1
    DELAYED = 2
    READY = 3
    RESERVED = 4
    RUNNING = 5
    LOST = 6
    BURIED = 7
    COMPLETE = 8
    CANCELLED = 9

    @property
    def word(self) -> str:
        """The state as people and the native interface write it."""
        return self.name.lower()


TERMINAL = frozenset({JobState.BURIED, JobState.COMPLETE, JobState.CANCELLED})
HELD = frozenset({JobState.RESERVED, JobState.RUNNING, JobState.LOST})
PENDING = frozenset({JobState.WAITING, JobState.DELAYED, JobState.READY})
ACTIVE = PENDING | HELD

IN_PLAY = 3
"""The bucket of what is ready or held: jobs pass through those states without being re-indexed."""

BUCKETS = {
    state: IN_PLAY if state in HELD or state is JobState.READY else state.value
    for state in JobState
}
"""Where a state is found in the indexes that listings use."""

BY_WORD = {state.word: state for state in JobState}


class Trigger(StrEnum):
    """What moves a job from one state to another."""

    SUBMIT = "submit"
    DEPENDENCIES_MET = "dependencies_met"
    DEPENDENCY_ADDED = "dependency_added"
    DELAY_OVER = "delay_over"
    POSTPONE = "postpone"
    LEASE = "lease"
    LEASE_RETURNED = "lease_returned"
    START = "start"
    SUCCEED = "succeed"
    FAIL_RETRY = "fail_retry"
    FAIL_FINAL = "fail_final"
    LOSE = "lose"
    RECOVER = "recover"
    CANCEL = "cancel"
    RETRY = "retry"
    EXPIRE = "expire"


_S, _T = JobState, Trigger
_IDLE = (_S.WAITING, _S.DELAYED, _S.READY)

_MOVES: dict[Trigger, tuple[tuple[JobState, ...], frozenset[JobState]]] = {
    _T.DEPENDENCIES_MET: ((_S.WAITING,), frozenset({_S.READY, _S.DELAYED})),
    _T.DEPENDENCY_ADDED: (
        (_S.READY, _S.DELAYED, _S.COMPLETE, _S.WAITING),
        frozenset({_S.WAITING}),
    ),
    _T.DELAY_OVER: ((_S.DELAYED,), frozenset({_S.READY})),
    _T.POSTPONE: ((_S.READY,), frozenset({_S.DELAYED})),
    _T.LEASE: ((_S.READY,), frozenset({_S.RESERVED})),
    _T.LEASE_RETURNED: ((_S.RESERVED,), frozenset({_S.READY})),
    _T.START: ((_S.RESERVED,), frozenset({_S.RUNNING})),
    _T.SUCCEED: ((_S.RESERVED, _S.RUNNING, _S.LOST), frozenset({_S.COMPLETE})),
    _T.FAIL_RETRY: ((_S.RESERVED, _S.RUNNING, _S.LOST), frozenset({_S.READY, _S.DELAYED})),
    _T.FAIL_FINAL: ((_S.RESERVED, _S.RUNNING, _S.LOST), frozenset({_S.BURIED})),
    _T.LOSE: ((_S.RESERVED, _S.RUNNING), frozenset({_S.LOST})),
    _T.RECOVER: ((_S.LOST,), frozenset({_S.RESERVED, _S.RUNNING})),
    _T.CANCEL: (
        (*_IDLE, _S.RESERVED, _S.RUNNING, _S.LOST, _S.BURIED),
        frozenset({_S.CANCELLED}),
    ),
    _T.RETRY: (
        (_S.BURIED, _S.CANCELLED, _S.COMPLETE, _S.DELAYED),
        frozenset({_S.READY, _S.WAITING}),
    ),
    _T.EXPIRE: (_IDLE, frozenset({_S.BURIED})),
}

INITIAL = frozenset({_S.WAITING, _S.DELAYED, _S.READY})


class IllegalMoveError(AssertionError):
    """A move that is not in the table: a defect of ours, never of a caller."""


def allowed(trigger: Trigger, state: JobState) -> bool:
    """Whether a job in this state can be moved by this trigger at all."""
    return state in _MOVES[trigger][0]


def check(trigger: Trigger, source: JobState, target: JobState) -> JobState:
    """Return target when the table has this move.

    Raises IllegalMoveError when it has not.
    """
    sources, targets = _MOVES[trigger]
    if source not in sources or target not in targets:
        raise IllegalMoveError(f"{trigger}: {source.word} -> {target.word} is not in the table")
    return target
