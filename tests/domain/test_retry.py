from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.domain.outcome import BAD_WORKDIR, CANCELLED_BY_USER, NON_ZERO_EXIT, judge
from gristmill.domain.retry import LONGEST_DELAY, RetryPolicy, backoff
from gristmill.domain.state import JobState, Trigger

_DELAYS = st.floats(0, LONGEST_DELAY)
_POLICIES = st.builds(
    RetryPolicy,
    retries=st.integers(0, 10_000),
    delay=_DELAYS,
    factor=st.floats(1, 100),
    max_delay=_DELAYS,
    jitter=_DELAYS,
    fatal_exit_codes=st.lists(st.integers(-64, 255), max_size=3).map(tuple),
)


@given(_POLICIES, st.integers(1, 20_000), st.integers())
def test_a_pause_is_never_negative_nor_longer_than_promised(
    policy: RetryPolicy, failures: int, seed: int
) -> None:
    pause = backoff(policy, failures, Random(seed))
    assert 0 <= pause <= policy.max_delay + policy.jitter
    if policy.max_delay >= policy.delay:
        assert pause >= policy.delay


@given(_POLICIES, st.integers(1, 50))
def test_pauses_grow(policy: RetryPolicy, failures: int) -> None:
    steady = msgspec.structs.replace(policy, jitter=0.0)
    assert backoff(steady, failures, Random(1)) <= backoff(steady, failures + 1, Random(1))


def test_pauses_double_up_to_the_longest() -> None:
    policy = RetryPolicy(retries=9, delay=1, max_delay=10)
    assert [backoff(policy, n, Random(1)) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]


@pytest.mark.parametrize("field", ["retries", "delay", "factor", "max_delay", "jitter"])
@pytest.mark.parametrize("value", [-1, float("inf"), float("nan"), "x", 1e300])
def test_a_policy_has_bounds(field: str, value: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({field: value}, RetryPolicy)


@given(
    policy=_POLICIES,
    succeeded=st.booleans(),
    exit_code=st.none() | st.integers(-64, 255),
    reason=st.sampled_from(["", NON_ZERO_EXIT, BAD_WORKDIR, CANCELLED_BY_USER]),
    cancelled=st.booleans(),
    left=st.integers(0, 3),
    failures=st.integers(1, 5),
)
def test_the_verdict_follows_the_policy(
    policy: RetryPolicy,
    succeeded: bool,
    exit_code: int | None,
    reason: str,
    cancelled: bool,
    left: int,
    failures: int,
) -> None:
    verdict = judge(
        policy,
        succeeded=succeeded,
        exit_code=exit_code,
        reason=reason,
        cancel_requested=cancelled,
        retries_left=left,
        failures=failures,
        random=Random(1),
    )
    final = left == 0 or exit_code in policy.fatal_exit_codes
    if succeeded:
        assert verdict == (Trigger.SUCCEED, JobState.COMPLETE, 0.0)
    elif cancelled:
        assert verdict == (Trigger.CANCEL, JobState.CANCELLED, 0.0)
    elif final or reason in {BAD_WORKDIR, CANCELLED_BY_USER}:
        assert verdict == (Trigger.FAIL_FINAL, JobState.BURIED, 0.0)
    else:
        assert verdict.trigger is Trigger.FAIL_RETRY
        assert verdict.state is (JobState.DELAYED if verdict.delay else JobState.READY)
