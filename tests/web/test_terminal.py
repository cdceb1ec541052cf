"""Output of programs becomes text, whatever they write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.web.terminal import LONGEST_LINE, piece, readable


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"plain\ntext\n", "plain\ntext\n"),
        (b"\x1b[1;32mgreen\x1b[0m", "green"),
        (b"\x1b]0;a title\x07rest", "rest"),
        (b"\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"dos\r\nlines\r\n", "dos\nlines\n"),
        (b" 1%\r 50%\r100%\n", "100%\n"),
        (b" 1%\r 50%\r", " 50%"),
        (b"\x1b(Bcharset\x1b=", "charset"),
        (b"torn \xff\xfe", "torn \ufffd\ufffd"),
        ("grün\n".encode(), "grün\n"),
        (b"", ""),
    ],
)
def test_readable(written: bytes, read: str) -> None:
    assert readable(written) == read


@pytest.mark.parametrize("unit", [b"\x1b]", b"\x1b[0", b"\r", b"\x1b", b"a", b"\x1b]8;;x"])
def test_hostile_output_costs_no_more_than_its_length(unit: bytes) -> None:
    readable(unit * (400_000 // len(unit)) + b"\n")


def test_a_last_line_is_partial_until_it_ends() -> None:
    assert piece(b"one\ntw", 100, ended=False) == ("one\n", "tw", 104)
    assert piece(b"one\ntw", 100, ended=True) == ("one\ntw", "", 106)
    assert piece(b"", 100, ended=False) == ("", "", 100)


def test_a_line_without_an_end_is_cut_somewhere() -> None:
    written = b"x" * LONGEST_LINE
    assert piece(written, 0, ended=False) == (written.decode(), "", LONGEST_LINE)


WRITTEN = st.lists(
    st.sampled_from([b"line", b"\n", b"\r", b"\r\n", b"\x1b[31m", "ü".encode(), b"\x00"])
).map(b"".join)


@given(WRITTEN, st.lists(st.integers(0, 60)))
def test_looks_at_a_growing_stream_add_up_to_its_text(written: bytes, ends: list[int]) -> None:
    offset, shown = 0, ""
    for end in [*sorted(ends), len(written)]:
        look = piece(written[offset : max(offset, end)], offset, ended=False)
        shown, offset = shown + look.lines, look.next_offset
    assert shown + piece(written[offset:], offset, ended=True).lines == readable(written)
