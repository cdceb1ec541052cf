"""What names and keys may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.objects import BEYOND, LONGEST_NAME, Space, check_key, check_name


@pytest.mark.parametrize("name", ["a", "a/b.txt", "ä/ü.tar.gz", "...", "a b", "%2e%2e", "x" * 1024])
def test_a_name_is_a_relative_path(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        "a\0b",
        "a\nb",
        "\x7f",
        "\ud800",
    ],
)
def test_detours_and_control_characters_are_refused(name: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_name(name, "filename")
    assert refused.value.field == "filename"


def test_length_is_counted_in_bytes() -> None:
    assert check_key("ä" * (LONGEST_NAME // 2))
    with pytest.raises(InvalidInputError, match="1024 bytes"):
        check_key("ä" * (LONGEST_NAME // 2) + "x")


@given(st.text(max_size=100), st.text(max_size=156))
def test_everything_with_a_prefix_sorts_between_it_and_what_is_beyond(
    prefix: str, rest: str
) -> None:
    assert prefix <= prefix + rest < prefix + BEYOND


@given(st.text(min_size=1), st.text(min_size=1))
def test_different_spaces_have_different_texts(one: str, other: str) -> None:
    spaces = {Space.user(one), Space.user(other), Space.group(one), Space.group(other)}
    assert len({space.text for space in spaces}) == len(spaces)
