"""When schedules come round: the vectors, and what must hold for any schedule."""

import itertools
from datetime import UTC, datetime, timedelta
from time import process_time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.domain.cron import check_cron
from gristmill.domain.declared import Every, Exclude
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.intervals import (
    Moment,
    Rhythm,
    find_zone,
    from_epoch,
    missed,
    next_time,
    next_times,
    rhythm,
    times_between,
    to_epoch,
)

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
LUNCH = ("12:00", "13:00")


def at(text: str) -> datetime:
    """An instant, from text with an offset or from local time in Amsterdam."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=AMSTERDAM)


def every(text: str, *windows: tuple[str, str], zone: ZoneInfo = AMSTERDAM) -> Rhythm:
    count, unit = text.split()
    found = rhythm(
        zone,
        Every(count=int(count), unit=unit.lower()),  # type: ignore[arg-type]
        None,
        [Exclude(start=start, end=end) for start, end in windows],
    )
    assert found is not None
    return found


def cron(line: str, *windows: tuple[str, str], zone: ZoneInfo = AMSTERDAM) -> Rhythm:
    check_cron(line)
    found = rhythm(zone, None, line, [Exclude(start=one, end=two) for one, two in windows])
    assert found is not None
    return found


VECTORS = [
    (every("5 MINUTE"), "2026-05-01 10:00", "2026-05-01 10:17", "2026-05-01 10:20"),
    (every("5 MINUTE"), "2026-05-01 10:00", "2026-05-01 10:15", "2026-05-01 10:15"),
    (every("1 HOUR", LUNCH), "2026-05-01 11:59", None, "2026-05-01 13:59"),
    (every("1 HOUR", LUNCH), "2026-05-01 11:00", None, "2026-05-01 14:00"),
    (
        every("1 HOUR", ("22:00", "23:59:59"), ("00:00", "06:00")),
        "2026-05-01 21:30",
        None,
        "2026-05-02 06:30",
    ),
    (every("1 HOUR", ("00:00", "23:59")), "2026-05-01 11:59", None, None),
    (every("1 DAY", LUNCH), "2026-05-01 12:30", None, None),
    (every("1 DAY"), "2026-03-28 04:00+01:00", None, "2026-03-29 04:00+02:00"),
    (every("1 DAY"), "2026-10-24 04:00+02:00", None, "2026-10-25 04:00+01:00"),
    (every("1 DAY"), "2026-05-01 10:00", "2026-05-09 11:00", "2026-05-10 10:00"),
    (every("1 HOUR"), "2026-03-29 01:30+01:00", None, "2026-03-29 03:30+02:00"),
    (every("1 DAY"), "2026-03-28 02:30+01:00", None, "2026-03-29 03:30+02:00"),
    (every("1 MONTH"), "2026-02-01 08:00", None, "2026-03-01 08:00"),
    (every("1 MONTH"), "2026-01-31 08:00", None, "2026-03-03 08:00"),
    (every("2 MONTH"), "2026-01-15 08:00", None, "2026-03-15 08:00"),
]


@pytest.mark.parametrize(("rhythm_", "base", "now", "expected"), VECTORS)
def test_vectors(rhythm_: Rhythm, base: str, now: str | None, expected: str | None) -> None:
    start = Moment(at(base))
    found = next_time(rhythm_, start, at(now) if now else start.at)
    assert (found.at if found else None) == (at(expected) if expected else None)


def test_a_gap_moves_the_time_for_that_day_only() -> None:
    base = Moment(at("2026-03-28 02:30+01:00"))
    first, second = next_times(every("1 DAY"), base, base.at, 2)
    assert first == Moment(at("2026-03-29 03:30+02:00"), timedelta(hours=1))
    assert second == Moment(at("2026-03-30 02:30+02:00"))


def test_an_hourly_schedule_runs_in_both_hours_that_the_clock_shows_twice() -> None:
    base = Moment(at("2026-10-25 01:30+02:00"))
    found = [moment.at for moment in next_times(every("1 HOUR"), base, base.at, 3)]
    assert found == [at("2026-10-25 02:30+02:00"), at("2026-10-25 02:30+01:00"),
                     at("2026-10-25 03:30+01:00")]  # fmt: skip


def test_a_day_that_the_calendar_skipped_is_not_two_runs() -> None:
    apia = ZoneInfo("Pacific/Apia")
    base = Moment(datetime(2011, 12, 29, 10, tzinfo=apia).astimezone(UTC))
    days = every("1 day", zone=apia)
    found = [moment.at.astimezone(apia).day for moment in next_times(days, base, base.at, 3)]
    assert found == [31, 1, 2]


def test_cron_keeps_the_wall_clock_and_a_time_that_is_now() -> None:
    daily = cron("30 2 * * *")
    base = Moment(at("2026-10-23 02:30"))
    found = [moment.at for moment in next_times(daily, base, base.at, 3)]
    assert found == [at("2026-10-24 02:30+02:00"), at("2026-10-25 02:30+02:00"),
                     at("2026-10-26 02:30+01:00")]  # fmt: skip
    now = at("2026-10-26 02:30+01:00")
    assert next_time(daily, base, now) == Moment(now)


def test_cron_leaves_windows_out_and_fails_like_intervals_do() -> None:
    base = Moment(at("2026-05-01 11:45"))
    quarters = next_times(cron("*/15 * * * *", LUNCH), base, base.at, 2)
    assert [one.at for one in quarters] == [at("2026-05-01 13:15"), at("2026-05-01 13:30")]
    assert next_time(cron("30 12 * * *", LUNCH), base, base.at) is None
    assert next_time(cron("* * * * *", ("00:00", "23:59:59")), base, base.at) is None


def test_a_window_over_midnight_never_matches() -> None:
    found = every("1 HOUR", ("22:00", "06:00"))
    assert found.windows == ()


@pytest.mark.parametrize("count", [10**6, 2**31 - 1, 10**30])
@pytest.mark.parametrize("unit", ["minute", "hour", "day", "month"])
def test_an_interval_beyond_the_calendar_has_no_next_time(count: int, unit: str) -> None:
    wide = Rhythm(AMSTERDAM, Every(count=count, unit=unit))  # type: ignore[arg-type]
    base = Moment(datetime(9998, 1, 1, tzinfo=UTC))
    found = next_time(wide, base, base.at)
    assert found is None or found.at > base.at


@pytest.mark.parametrize("line", ["0 0 30 2 *", "0 0 31 4,6 *"])
def test_a_day_that_never_comes_is_refused(line: str) -> None:
    with pytest.raises(InvalidInputError, match="never comes"):
        check_cron(line)


def test_zones_have_names() -> None:
    assert find_zone("Europe/Amsterdam") == AMSTERDAM
    for name in ("Europe/Nowhere", "../../etc/passwd", "", "\x00"):
        with pytest.raises(InvalidInputError, match="not a time zone"):
            find_zone(name)


def test_missed_means_that_the_following_time_has_passed_too() -> None:
    hourly, due = every("1 HOUR"), Moment(at("2026-05-01 10:00"))
    assert not missed(hourly, due, at("2026-05-01 10:59:59"))
    assert missed(hourly, due, at("2026-05-01 11:00"))


def test_a_period_before_the_anchor_keeps_the_phase() -> None:
    anchor = Moment(at("2026-05-20 10:30"))
    first, last = at("2026-05-01 00:00"), at("2026-05-03 10:30")
    days = [one.at for one in times_between(every("1 DAY"), anchor, first, last)]
    assert days == [at("2026-05-01 10:30"), at("2026-05-02 10:30"), at("2026-05-03 10:30")]
    hours = list(times_between(every("5 HOUR"), anchor, first, at("2026-05-01 09:00")))
    assert all((anchor.at - one.at) % timedelta(hours=5) == timedelta() for one in hours)
    assert len(hours) == 2
    months = times_between(every("1 MONTH"), anchor, at("2026-01-01 00:00"), at("2026-04-01 00:00"))
    assert [one.at.day for one in months] == [20, 20, 20]
    quarters = times_between(cron("0 */6 * * *"), anchor, first, at("2026-05-01 12:00"))
    assert [one.at for one in quarters] == [first, at("2026-05-01 06:00"), at("2026-05-01 12:00")]


def test_arithmetic_for_a_schedule_suspended_for_years_takes_microseconds() -> None:
    base, now = Moment(at("2001-01-31 02:30")), at("2026-05-09 11:00:00.5")
    for text in ("1 MINUTE", "7 MINUTE", "1 HOUR", "1 DAY", "1 MONTH"):
        each = every(text)
        next_time(each, base, now)
        took = []
        for _ in range(100):
            begun = process_time()
            next_time(each, base, now)
            took.append(process_time() - begun)
        assert min(took) < 500e-6, text


ZONES = st.sampled_from(
    ["UTC", "Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia",
     "Asia/Kathmandu", "America/Sao_Paulo", "Africa/Casablanca"]
).map(ZoneInfo)  # fmt: skip
INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)).map(
    lambda naive: naive.replace(tzinfo=UTC)
)
CLOCK = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda t: f"{t[0]:02}:{t[1]:02}")
WINDOWS = st.lists(st.tuples(CLOCK, CLOCK), max_size=3)
UNITS = st.sampled_from(["minute", "hour", "day", "month"])
INTERVALS = st.builds(
    lambda zone, count, unit, windows: every(f"{count} {unit}", *windows, zone=zone),
    ZONES, st.integers(1, 200), UNITS, WINDOWS,
)  # fmt: skip
CRONS = st.builds(
    lambda zone, minute, hour, windows: cron(f"{minute} {hour} * * *", *windows, zone=zone),
    ZONES, st.sampled_from(["*", "0", "*/7", "30"]), st.sampled_from(["*", "2", "*/5"]), WINDOWS,
)  # fmt: skip
SUSPENSIONS = st.one_of(
    st.just(timedelta()), st.timedeltas(-timedelta(days=3), timedelta(days=20_000))
)


@settings(max_examples=300, deadline=None)
@given(INTERVALS | CRONS, INSTANTS, SUSPENSIONS)
def test_times_are_never_past_never_excluded_never_twice(
    each: Rhythm, base: datetime, suspended: timedelta
) -> None:
    now = base + suspended
    times = next_times(each, Moment(base), now, 5)
    instants = [base, *(moment.at for moment in times)]
    assert all(earlier < later for earlier, later in itertools.pairwise(instants))
    for moment in times:
        assert moment.at >= now
        local = moment.at.astimezone(each.zone).time()
        assert not any(start <= local <= end for start, end in each.windows)


@settings(max_examples=200, deadline=None)
@given(ZONES, st.integers(1, 40), UNITS, INSTANTS, st.timedeltas(timedelta(), timedelta(days=900)))
def test_arithmetic_agrees_with_adding_again_and_again(
    zone: ZoneInfo, count: int, unit: str, base: datetime, suspended: timedelta
) -> None:
    if unit in {"minute", "hour"}:
        suspended /= 200
    each, now = every(f"{count} {unit}", zone=zone), base + suspended
    # One step at a time, each from the one before.
    slow = next_time(each, Moment(base), base)
    while slow is not None and slow.at < now:
        slow = next_time(each, slow, slow.at)
    assert next_time(each, Moment(base), now) == slow


@given(INSTANTS)
def test_epoch_seconds_keep_microseconds(instant: datetime) -> None:
    assert from_epoch(to_epoch(instant)) == instant
