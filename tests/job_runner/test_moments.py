"""Moments in and out, in the zone of the server."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.dialects.job_runner.moments import read_moment, write_moment

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def epoch(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02 03:04:05.123456+00:00", epoch(2026, 1, 2, 3, 4, 5, 123456)),
        ("2026-01-02T03:04:05Z", epoch(2026, 1, 2, 3, 4, 5)),
        ("2026-01-02 03:04:05+02:00", epoch(2026, 1, 2, 1, 4, 5)),
        ("2026-01-02T03:04:05+0200", epoch(2026, 1, 2, 1, 4, 5)),
        ("2026-01-02T03:04:05-0130", epoch(2026, 1, 2, 4, 34, 5)),
        ("2026-01-02T03:04:05", epoch(2026, 1, 2, 2, 4, 5)),
        ("2026-07-02T03:04:05", epoch(2026, 7, 2, 1, 4, 5)),
        ("2026-01-02T03:04", epoch(2026, 1, 2, 2, 4)),
        ("2026-01-02T03:04:05.5", epoch(2026, 1, 2, 2, 4, 5, 500000)),
        ("2026-01-02T03:04:05.1234569", epoch(2026, 1, 2, 2, 4, 5, 123456)),
        ("2026-01-02", epoch(2026, 1, 1, 23)),
    ],
)
def test_reading(text: str, expected: float) -> None:
    assert read_moment(text, AMSTERDAM) == expected


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-13-01", "2026-01-02T25:00", "2026-01-02T03", "0000-01-01", "26-1-2",
     "2026-01-02T03:04:05+25:00", "2026-01-02T03:04:05 CET", "٢٠٢٦-01-02", "2026-02-30",
     "0001-01-01T00:00:00+23:00x"],
)  # fmt: skip
def test_refusing(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_moment(text, AMSTERDAM)


def test_writing() -> None:
    assert write_moment(epoch(2026, 1, 2, 3, 4, 5, 123456), AMSTERDAM) == (
        "2026-01-02T04:04:05.123456"
    )
    assert write_moment(epoch(2026, 7, 2, 3, 4, 5), AMSTERDAM) == "2026-07-02T05:04:05"
    assert write_moment(None, AMSTERDAM) is None


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)))
def test_microseconds_survive(moment: datetime) -> None:
    text = moment.isoformat()
    assert write_moment(read_moment(text, ZoneInfo("UTC")), ZoneInfo("UTC")) == text
