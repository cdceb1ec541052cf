import json
import shlex
import subprocess
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.cli.specs import command_text, spec_of, specs_in
from gristmill.domain.errors import InvalidInputError

WORD = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


@given(st.lists(WORD, min_size=2, max_size=6))
def test_words_stay_apart(words: list[str]) -> None:
    assert shlex.split(command_text(words)) == words


def test_words_reach_a_shell_unchanged() -> None:
    words = ["printf", "%s|", "a b", "$HOME", "it's", "*", "", "\n"]
    done = subprocess.run(["sh", "-c", command_text(words)], capture_output=True, check=True)
    assert done.stdout.decode() == "a b|$HOME|it's|*||\n|"


def test_one_word_is_shell_text() -> None:
    assert command_text(["a | b > c"]) == "a | b > c"


def test_commands_a_line() -> None:
    specs = specs_in("echo a\n\n# no\n  { b; }\n[ -f x ] && c\n", {"group": "g"}, "/work")
    assert [spec.command for spec in specs] == ["echo a", "  { b; }", "[ -f x ] && c"]
    assert {(spec.group, spec.cwd) for spec in specs} == {("g", "/work")}


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_array_and_a_single_object(indent: int | None) -> None:
    job = {"command": "a", "resources": {"cpus": 2}}
    options = {"group": "g", "resources": {"cpus": 1, "memory": 5}}
    for document in ([job], job):
        (spec,) = specs_in(json.dumps(document, indent=indent), options, "/work")
        assert (spec.group, spec.cwd) == ("g", None)
        assert (spec.resources.cpus, spec.resources.memory) == (2, 5)


def test_json_lines() -> None:
    specs = specs_in('{"command": "a"}\n\n{"command": "b", "group": "own"}\n', {"group": "g"}, None)
    assert [(spec.command, spec.group) for spec in specs] == [("a", "g"), ("b", "own")]


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        ("", "", "no command"),
        ("# only this\n", "", "no command"),
        ('[{"command": "a"}, 3]', "jobs[1]", "JSON object"),
        ('[{"command": "a"},', "", "no JSON"),
        ('{"command": "a"}\n{"command"', "", "line 2 is no JSON"),
        ('{"command": "a", "colour": 1}', "jobs[0]", "colour"),
        ('[{"command": 3}]', "jobs[0].command", "Expected"),
        ('[{"command": "a", "resources": {"cpus": -1}}]', "jobs[0].resources.cpus", ">= 0"),
        ('[{"command": " "}]', "jobs[0].command", "empty"),
        ('[{"command": "a", "env": {"A=B": "c"}}]', "jobs[0].env", "regex"),
    ],
)
def test_bad_input_names_its_place(text: str, field: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        specs_in(text, {}, None)
    assert caught.value.field.startswith(field)


@given(st.text())
def test_any_text_is_jobs_or_a_clear_error(text: str) -> None:
    with suppress(InvalidInputError):
        assert specs_in(text, {}, None)


def test_a_bad_option_names_its_field() -> None:
    with pytest.raises(InvalidInputError) as caught:
        spec_of({"command": "a", "priority": 10**9})
    assert caught.value.field == "priority"
