"""How much of a failed command's output is shown."""

from hypothesis import given
from hypothesis import strategies as st

from gristmill.dialects.wr.output import KEPT, shorten


def test_short_output_is_trimmed() -> None:
    assert shorten(b"\n mymsg \n\n") == "mymsg"
    assert shorten(b"") == ""


def test_the_middle_of_long_output_is_left_out() -> None:
    data = b"a" * 5000 + b"b" * 5000
    assert shorten(data) == "a" * 4096 + "\n... omitting 1808 bytes ...\n" + "b" * 4096
    assert shorten(b"x" * 8192) == "x" * 8192


def test_progress_bars_are_reduced() -> None:
    assert shorten(b"0%\r50%\r75%\r100%\ndone\n") == "0%\n[...]\n100%\ndone"
    assert shorten(b"0%\r100%\n") == "0%\n100%"
    assert shorten(b"dos\r\nlines\r\n") == "dos\nlines"


def test_one_endless_line_is_quick() -> None:
    assert len(shorten(b"\r".join([b"tick"] * 500_000))) < 20
    assert len(shorten(b"x" * 20_000_000)) < 2 * KEPT + 50


@given(st.binary(max_size=20_000))
def test_never_more_than_head_and_tail(data: bytes) -> None:
    assert len(shorten(data)) <= 2 * KEPT + 60
