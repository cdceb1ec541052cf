"""Memory and time as clients write them."""

import pytest

from gristmill.dialects.wr.durations import memory_mb, seconds
from gristmill.dialects.wr.errors import RefusedError

UNIT_HINT = (
    "byte quantity must be a positive integer with a unit of measurement "
    "like M, MB, MiB, G, GiB, or GB"
)


@pytest.mark.parametrize(
    ("text", "megabytes"),
    [
        ("1G", 1024), ("3G", 3072), ("5M", 5), ("1.5G", 1536), ("512K", 0), ("1024K", 1),
        ("1048576B", 1), ("1gb", 1024), ("1GiB", 1024), (" 2 MB ", 2), ("1T", 1 << 20),
        ("1PiB", 1 << 30), ("0.5E", 1 << 39), ("1.9M", 1), ("300MiB", 300), ("300kb", 0),
    ],
)  # fmt: skip
def test_memory(text: str, megabytes: int) -> None:
    assert memory_mb(text) == megabytes


@pytest.mark.parametrize(
    "text",
    ["1", "0", "0G", "-1G", "G", "1X", "1GG", "one G", "1 G G", "NaN", "infG", "1e3M", "1iB", "2E"],
)
def test_wrong_memory(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        memory_mb(text)
    assert caught.value.status == 400
    assert caught.value.text == (
        "there was a problem interpreting your job: "
        f"memory value ({text}) was not specified correctly: {UNIT_HINT}"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5s", 5), ("1h", 3600), ("1h30m", 5400), ("1.5h", 5400), ("0s", 0), ("0", 0),
        ("100ms", 0.1), ("1us", 1e-6), ("1µs", 1e-6), ("1ns", 1e-9), ("+2m", 120), (".5s", 0.5),
        ("2h45m10.5s", 9910.5),
    ],
)  # fmt: skip
def test_time(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("5", 'time: missing unit in duration "5"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("1h 30m", 'time: unknown unit "h " in duration "1h 30m"'),
        ("-5s", 'time: invalid duration "-5s"'),
        ("soon", 'time: invalid duration "soon"'),
        ("9999999999999h", 'time: invalid duration "9999999999999h"'),
    ],
)
def test_wrong_time(text: str, why: str) -> None:
    with pytest.raises(RefusedError) as caught:
        seconds(text)
    assert caught.value.text == (
        "there was a problem interpreting your job: "
        f"time value ({text}) was not specified correctly: {why}"
    )
