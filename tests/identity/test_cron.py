import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.domain.cron import check_cron
from gristmill.domain.errors import InvalidInputError


@pytest.mark.parametrize(
    "line",
    ["* * * * *", "0 3 * * *", "*/5 0-6,22 1,15 jan-mar,DEC mon-fri", "59 23 31 12 7",
     "  0   3 * * *  ", "0-30/10 * * * sun", "5/15 * * * *"],
)  # fmt: skip
def test_good_lines(line: str) -> None:
    check_cron(line)


@pytest.mark.parametrize(
    "line",
    ["", "* * * *", "* * * * * *", "@daily", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *",
     "* * * 13 *", "* * * * 8", "5-1 * * * *", "*/0 * * * *", "1,,2 * * * *", "a * * * *",
     "* * * mon *", "-1 * * * *", "\u0661 * * * *", "1- * * * *", "*-5 * * * *"],
)  # fmt: skip
def test_bad_lines(line: str) -> None:
    with pytest.raises(InvalidInputError):
        check_cron(line)


@given(st.text(alphabet="0123456789*/-, monjan", max_size=30))
def test_any_line_is_good_or_an_error(line: str) -> None:
    try:
        check_cron(line)
    except InvalidInputError:
        return
    assert len(line.split()) == 5
