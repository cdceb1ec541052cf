import math

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.units import (
    LONGEST,
    format_duration,
    format_size_mb,
    parse_duration,
    parse_size_mb,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("1h30m", 5_400.0),
        ("1h30m5s", 5_405.0),
        ("1.5h", 5_400.0),
        (".5s", 0.5),
        ("100ms", 0.1),
        ("5us", 5e-6),
        ("5µs", 5e-6),
        ("5μs", 5e-6),
        ("7ns", 7e-9),
        ("3m3m", 360.0),
    ],
)
def test_durations_as_go_writes_them(text: str, seconds: float) -> None:
    assert parse_duration(text, go=True) == pytest.approx(seconds)
    assert parse_duration(f" {text} ") == pytest.approx(seconds)


@pytest.mark.parametrize(("text", "seconds"), [("2d", 172_800.0), ("1w", 604_800.0), ("90", 90.0)])
def test_what_people_write_and_go_does_not(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    with pytest.raises(InvalidInputError):
        parse_duration(text, go=True)


@pytest.mark.parametrize(
    "text",
    ["", " ", "h", "1", "s1", "1x", "1h 30m", "-1s", "+1s", "1e3s", "1_0s", "inf", "nan", "٣s",
     "1h30", "..5s", "1.s.", "99999999999999h", "9" * 400 + "s", "infinity", "1s\x00"],
)  # fmt: skip
def test_no_go_duration(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_duration(text, go=True)


@pytest.mark.parametrize("text", ["-1", "inf", "nan", "1e13", "1e400", "-0.1", "1 s", "٣", "1_0"])
def test_no_duration_at_all(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "megabytes"),
    [("512M", 512), ("512mb", 512), ("3G", 3_072), ("1.5GiB", 1_536), ("1 T", 1 << 20),
     ("1024k", 1), ("1023k", 0), ("1048576b", 1), (" 2g ", 2_048), (".5g", 512), ("1.g", 1_024)],
)  # fmt: skip
def test_sizes(text: str, megabytes: int) -> None:
    assert parse_size_mb(text) == megabytes


@pytest.mark.parametrize(
    "text", ["", "5", "G", "5X", "-5G", "5 G B", "5ib", "1e3G", "٣G", "9" * 400 + "G", "1E999999"]
)
def test_no_sizes(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_size_mb(text)


_TEXTS = st.one_of(
    st.text(max_size=40),
    st.text("0123456789.-+eE smhdwunµkKMGTPEibB\n", max_size=12),
)


@given(_TEXTS, st.booleans())
def test_any_text_is_a_bounded_duration_or_refused(text: str, go: bool) -> None:
    try:
        seconds = parse_duration(text, go=go)
    except InvalidInputError:
        event("refused")
    else:
        assert math.isfinite(seconds)
        assert 0 <= seconds <= LONGEST


@given(_TEXTS)
def test_any_text_is_a_bounded_size_or_refused(text: str) -> None:
    try:
        size = parse_size_mb(text)
    except InvalidInputError:
        event("refused")
    else:
        assert 0 <= size <= LONGEST


@given(st.floats(0, 1e9))
def test_a_written_duration_reads_back_as_nearly_the_same(seconds: float) -> None:
    back = parse_duration(format_duration(seconds))
    assert abs(back - seconds) <= max(0.05, {True: 1.0, False: seconds / 24}[seconds < 3_600])


@given(st.integers(0, 10**11))
def test_a_written_size_reads_back_as_nearly_the_same(megabytes: int) -> None:
    back = parse_size_mb(format_size_mb(megabytes))
    assert abs(back - megabytes) <= 1 + megabytes * 0.05


@given(st.integers(0, 500), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_go_durations_add_up(hours: int, minutes: int, seconds: int, millis: int) -> None:
    text = f"{hours}h{minutes}m{seconds}s{millis}ms"
    total = hours * 3_600 + minutes * 60 + seconds + millis / 1_000
    assert parse_duration(text, go=True) == pytest.approx(total)
