from hypothesis import given
from hypothesis import strategies as st

from gristmill.domain.learning import (
    Override,
    advise,
    observe,
    raised_disk,
    raised_memory,
    raised_time,
    settle,
)

VALUES = st.lists(st.integers(0, 10**6), unique=True).map(sorted)


def test_nothing_seen_gives_no_advice() -> None:
    assert advise([], 100) is None


def test_of_a_few_the_largest_counts() -> None:
    assert advise([10, 250], 100) == 300
    assert advise([1, 2, 3, 4, 950], 100) == 1000


def test_of_more_the_top_five_are_outliers() -> None:
    values = [*range(1000, 1500, 100), 7000, 8000, 9000, 10_000, 11_000]
    assert advise(values, 100) == 1400


def test_of_many_the_top_twentieth_are_outliers() -> None:
    values = [n * 1000 for n in range(1, 201)]
    assert advise(values, 100) == 190_000


def test_a_step_to_the_largest_below_the_rounding_is_taken() -> None:
    assert advise([100, 101, 102, 103, 104, 105, 106], 100) == 200
    assert advise([1, 2, 3, 4, 5, 6, 7], 1) == 2


def test_advice_is_at_least_one_rounding() -> None:
    assert advise([3], 100) == 100
    assert advise([0], 1) == 1


@given(VALUES, st.sampled_from([1, 100]))
def test_advice_is_a_rounded_value_not_above_the_largest(values: list[int], step: int) -> None:
    advice = advise(values, step)
    if advice is None:
        assert not values
    else:
        assert advice % step == 0
        assert step <= advice < max(values[-1], step) + step


@given(VALUES, st.integers(0, 10**6))
def test_observed_values_stay_sorted_and_distinct(values: list[int], value: int) -> None:
    was_new = value not in values
    assert observe(values, value) is was_new
    assert values == sorted(set(values))
    assert value in values


def test_overrides() -> None:
    assert settle(500, None, Override.ADVICE) == 500
    assert settle(500, 100, Override.ADVICE) == 100
    assert settle(500, 900, Override.ADVICE) == 900
    assert settle(500, 100, Override.LARGER) == 500
    assert settle(500, 900, Override.LARGER) == 900
    assert settle(500, 900, Override.REQUEST) == 500
    assert settle(0, 900, Override.REQUEST, given=False) == 900


def test_what_ran_out_is_raised_and_never_lowered() -> None:
    assert raised_memory(500, 400) == 1500
    assert raised_memory(3000, 400) == 6000
    assert raised_memory(10_000, 400) == 13_000
    assert raised_memory(10, 90_000) == 90_000
    assert raised_time(100.0, 50.0) == 3700.0
    assert raised_time(100.0, 9000.0) == 9000.0
    assert raised_disk(1000, 10) == 1300
    assert raised_disk(1000, 5000) == 5000
