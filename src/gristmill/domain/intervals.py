"""When a schedule comes round: pure arithmetic on instants and wall clocks.

Minutes and hours count elapsed time; days and months keep the time on the wall, so that a
daily three o'clock stays one across the change to summer time. Nothing here loops over the
years that a schedule was suspended.
"""

from calendar import monthrange
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from gristmill.domain.cron import cron_after
from gristmill.domain.declared import Every, Exclude
from gristmill.domain.errors import InvalidInputError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
NO_SHIFT = timedelta()
_ELAPSED = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
_LAST_STABLE_DAY = 28


class Moment(NamedTuple):
    """A time a schedule comes round at.

    at: the instant, in UTC. shift: by how much that is later than the wall clock it stands for,
    because the clock skipped that time on this day.
    """

    at: datetime
    shift: timedelta = NO_SHIFT


class Window(NamedTuple):
    """A part of every local day, both ends included."""

    start: time
    end: time


class Rhythm(NamedTuple):
    """How a schedule repeats: an interval or a cron line, in a time zone, outside of windows."""

    zone: ZoneInfo
    every: Every | None = None
    cron: str | None = None
    windows: tuple[Window, ...] = ()


def rhythm(
    zone: ZoneInfo, every: Every | None, cron: str | None, exclude: Sequence[Exclude]
) -> Rhythm | None:
    """Return the rhythm of a schedule; None for one that only runs by hand or as a child."""
    if every is None and cron is None:
        return None
    windows = (_window(one) for one in exclude)
    return Rhythm(zone, every, cron, tuple(one for one in windows if one.start <= one.end))


def find_zone(name: str) -> ZoneInfo:
    """Return the time zone of that name. Raises InvalidInputError."""
    if name not in _zone_names():
        raise InvalidInputError(
            f"{name[:80]!r} is not a time zone: use a name such as 'Europe/Amsterdam' or 'UTC'",
            "timezone",
        )
    return ZoneInfo(name)


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


def _window(exclude: Exclude) -> Window:
    return Window(time.fromisoformat(exclude.start), time.fromisoformat(exclude.end))


def from_epoch(seconds: float) -> datetime:
    """Return the instant of epoch seconds, to the microsecond."""
    return EPOCH + timedelta(seconds=seconds)


def to_epoch(at: datetime) -> float:
    """Return epoch seconds; the inverse of from_epoch."""
    return (at - EPOCH) / timedelta(seconds=1)


def next_time(rhythm: Rhythm, base: Moment, now: datetime) -> Moment | None:
    """Return the first time after base that is not before now and in no window.

    None when there is none: every candidate of more than a day is in a window, or the calendar
    ends. base: a time of the same schedule; its own phase is kept.
    """
    try:
        return _outside(rhythm, _candidates(rhythm, base, now))
    except OverflowError:
        return None


def next_times(rhythm: Rhythm, base: Moment, now: datetime, count: int) -> list[Moment]:
    """Return up to count times as they would follow one another."""
    times: list[Moment] = []
    while len(times) < count:
        following = next_time(rhythm, base, now)
        if following is None:
            break
        times.append(following)
        base = following
    return times


def times_between(
    rhythm: Rhythm, anchor: Moment, first: datetime, last: datetime
) -> Iterator[Moment]:
    """Yield the times from first to last, both included, in the phase of anchor.

    The period may lie before the anchor: intervals are counted back from it.
    """
    try:
        base = _before(rhythm, anchor, first)
    except OverflowError:
        return
    while True:
        following = next_time(rhythm, base, first)
        if following is None or following.at > last:
            return
        yield following
        base = following


def missed(rhythm: Rhythm, due: Moment, now: datetime) -> bool:
    """Whether the time after due has passed as well."""
    following = next_time(rhythm, due, due.at)
    return following is not None and following.at <= now


def in_window(rhythm: Rhythm, at: datetime) -> bool:
    """Whether at is in one of the windows."""
    return _excluded(rhythm, at) is not None


def _candidates(rhythm: Rhythm, base: Moment, now: datetime) -> Iterator[Moment]:
    """Yield times after base from now on, whether in a window or not."""
    every = rhythm.every
    if every is None:
        assert rhythm.cron is not None
        return _cron_times(rhythm, base, now)
    if every.unit in _ELAPSED:
        return _elapsed_times(rhythm, _ELAPSED[every.unit] * every.count, base, now)
    return _wall_times(rhythm.zone, every, base, now)


def _outside(rhythm: Rhythm, candidates: Iterator[Moment]) -> Moment | None:
    first: datetime | None = None
    for moment in candidates:
        if not in_window(rhythm, moment.at):
            return moment
        first = first or moment.at
        if moment.at - first > DAY:
            return None
    return None


def _excluded(rhythm: Rhythm, at: datetime) -> Window | None:
    if not rhythm.windows:
        return None
    here = at.astimezone(rhythm.zone).time()
    return next((one for one in rhythm.windows if one.start <= here <= one.end), None)


def _cron_times(rhythm: Rhythm, base: Moment, now: datetime) -> Iterator[Moment]:
    assert rhythm.cron is not None
    after = max(base.at, now - TICK)
    while True:
        following = cron_after(rhythm.cron, after.astimezone(rhythm.zone))
        if following is None:
            return
        at = following.astimezone(UTC)
        if at > after:
            yield Moment(at)
        after = max(after, at)
        after = max(after, _end_of_window(rhythm, at) - timedelta(minutes=1))


def _elapsed_times(
    rhythm: Rhythm, step: timedelta, base: Moment, now: datetime
) -> Iterator[Moment]:
    steps = max(1, -((base.at - now) // step))
    at = base.at + step * steps
    while True:
        yield Moment(at)
        room = _end_of_window(rhythm, at) - at
        at += step * max(1, room // step)


def _end_of_window(rhythm: Rhythm, at: datetime) -> datetime:
    """Return when the window that at is in ends; at itself where that is not plain to see."""
    window = _excluded(rhythm, at)
    if window is None:
        return at
    local = at.astimezone(rhythm.zone)
    end = local.replace(hour=window.end.hour, minute=window.end.minute, second=window.end.second)
    # Across a change of the clock the distance on the wall is not the time that passes.
    return end.astimezone(UTC) if end.utcoffset() == local.utcoffset() else at


def _wall_times(zone: ZoneInfo, every: Every, base: Moment, now: datetime) -> Iterator[Moment]:
    anchor = _wall(base, zone)
    present = now.astimezone(zone).replace(tzinfo=None)
    steps = max(1, _steps_below(every, anchor, present))
    while True:
        moment = _on_wall(_add(every, anchor, steps), zone)
        if moment.at >= now and moment.at > base.at:
            yield moment
        steps += 1


def _wall(moment: Moment, zone: ZoneInfo) -> datetime:
    return moment.at.astimezone(zone).replace(tzinfo=None) - moment.shift


def _steps_below(every: Every, anchor: datetime, present: datetime) -> int:
    """Return a number of steps that is at most a few too small."""
    if every.unit == "day":
        return (present - anchor) // (DAY * every.count) - 2
    months = (present.year - anchor.year) * 12 + present.month - anchor.month
    return (months - 3) // every.count


def _add(every: Every, wall: datetime, steps: int) -> datetime:
    if every.unit == "day":
        return wall + DAY * every.count * steps
    return _add_months(wall, every.count * steps)


def _add_months(wall: datetime, months: int) -> datetime:
    """Add the days of the current month, that many times.

    A day that every month has stays the same; a later one may run over into the month after,
    and is stable from then on.
    """
    while months and wall.day > _LAST_STABLE_DAY:
        wall += timedelta(days=monthrange(wall.year, wall.month)[1])
        months -= 1
    if not months:
        return wall
    return _shift_months(wall, months)


def _shift_months(wall: datetime, months: int) -> datetime:
    year, month = divmod(wall.year * 12 + wall.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise OverflowError("the calendar ends")
    return wall.replace(year=year, month=month + 1)


def _on_wall(wall: datetime, zone: ZoneInfo) -> Moment:
    """Return the instant of a wall clock: the first of two, and past a gap as far as it is in."""
    at = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return Moment(at, at.astimezone(zone).replace(tzinfo=None) - wall)


def _before(rhythm: Rhythm, anchor: Moment, first: datetime) -> Moment:
    """Return a time in the phase of anchor that lies before first, possibly in a window."""
    every = rhythm.every
    if every is None:
        return Moment(first - TICK)
    if anchor.at < first:
        return anchor
    if every.unit in _ELAPSED:
        step = _ELAPSED[every.unit] * every.count
        return Moment(anchor.at - step * ((anchor.at - first) // step + 1))
    wall = _wall(anchor, rhythm.zone)
    target = first.astimezone(rhythm.zone).replace(tzinfo=None)
    if every.unit == "day":
        step = DAY * every.count
        return _on_wall(wall - step * ((wall - target) // step + 2), rhythm.zone)
    months = (wall.year - target.year) * 12 + wall.month - target.month
    back = (months // every.count + 2) * every.count
    stable = wall.replace(day=min(wall.day, _LAST_STABLE_DAY))
    return _on_wall(_shift_months(stable, -back), rhythm.zone)
