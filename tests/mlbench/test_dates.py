"""Times on the wire."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.dialects.mlbench.dates import MICRO, read, read_usual, write

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_again(moment: datetime) -> None:
    at = (moment - EPOCH) // timedelta(microseconds=1)
    text = write(at)
    assert datetime.fromisoformat(text) == moment
    assert len(text) == len("2018-08-03T09:21:44.331823Z")
    assert read_usual(text, 0.0) == read(text) == at


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (10**30, "9999-12-31T23:59:59.999999Z"),
        (-(10**30), "0001-01-01T00:00:00.000000Z"),
        (253_402_300_800 * MICRO, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_times_at_and_beyond_the_ends_of_the_calendar(at: int, text: str) -> None:
    assert write(at) == text
