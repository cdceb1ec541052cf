"""Amounts, times and states as people read them."""

from datetime import UTC, datetime

from gristmill.domain.state import JobState
from gristmill.domain.units import format_duration, format_size_mb
from gristmill.web.markup import Markup, tag

NOTHING = "-"
KIB = 1024.0

STATE_TITLES = {
    JobState.WAITING: "a dependency is unmet",
    JobState.DELAYED: "waits for a time",
    JobState.READY: "can be leased by an agent",
    JobState.RESERVED: "leased, not started yet",
    JobState.RUNNING: "has a process",
    JobState.LOST: "its agent is silent or dead",
    JobState.BURIED: "failed, no retry left",
    JobState.COMPLETE: "succeeded",
    JobState.CANCELLED: "ended by a person",
}


def when(seconds: float | None) -> Markup | str:
    """Return a moment in UTC; the script turns it into the viewer's zone, at the same length."""
    if seconds is None:
        return NOTHING
    moment = datetime.fromtimestamp(seconds, UTC)
    text = moment.strftime("%Y-%m-%d %H:%M:%S")
    return tag(
        "time", text, datetime=moment.isoformat(timespec="milliseconds"), title=f"{text} UTC"
    )


def lasted(start: float | None, end: float | None) -> Markup | str:
    """Return how long something took; the script counts on while it has no end."""
    if start is None:
        return NOTHING
    if end is None:
        return tag("span", "…", data_since=f"{start:.3f}")
    return format_duration(max(0.0, end - start))


def duration(seconds: float | None) -> str:
    """Return seconds for people."""
    return NOTHING if seconds is None else format_duration(seconds)


def memory(megabytes: int | None) -> str:
    """Return megabytes for people."""
    return NOTHING if megabytes is None else f"{format_size_mb(megabytes)}B"


def bytes_text(count: int) -> str:
    """Return a number of bytes for people."""
    value = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < KIB or unit == "GiB":
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= KIB
    raise AssertionError(count)


def number(value: float) -> str:
    """Return a number without needless digits, thousands apart."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}".rstrip("0")


def badge(state: JobState) -> Markup:
    """Return a state as a coloured word."""
    return tag("span", state.word, class_=f"badge state-{state.word}", title=STATE_TITLES[state])
