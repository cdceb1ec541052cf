from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gristmill.domain.errors import InvalidInputError
from gristmill.services.yaml_nodes import plain, read_documents


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 12:00", {"a": "12:00"}),
        ("a: 2026-01-01T03:00:00Z", {"a": "2026-01-01T03:00:00Z"}),
        ("a: yes", {"a": True}),
        ('a: "yes"', {"a": "yes"}),
        ("a: !!str 5", {"a": "5"}),
        ("a: 0o17", {"a": "0o17"}),
        ("a: 99999999999999999999999", {"a": "99999999999999999999999"}),
        ("on: {off: null}", {"on": {"off": None}}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
    ],
)
def test_values(text: str, value: object) -> None:
    (document,) = read_documents(text)
    assert plain(document) == value


def test_documents_and_lines() -> None:
    first, second = read_documents("a: 1\n---\n---\nb:\n  - 2\n")
    assert (plain(first), plain(second)) == ({"a": 1}, {"b": [2]})
    assert isinstance(second.value, dict)
    assert second.value["b"].line == 4
    assert read_documents("") == read_documents("# nothing") == []


BILLION = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BILLION, "line 6: more than"),
        ("a: &a [*a]", "line 1: \\*a stands before"),
        ("a: *b", "line 1"),
        ("[" * 10_000, "line 1: nested"),
        ("- " * 10_000, "line 1: nested"),
        ("{a: " * 500 + "1" + "}" * 500, "line 1: nested"),
        ("a: 1\nb: 2\na: 3", "line 3: 'a' stands twice"),
        ("a: !!python/object/apply:os.system [id]", "line 1: the tag"),
        ("a: !!binary aGk=", "line 1: the tag"),
        ("a: [1", "line [12], column [0-9]: is no YAML"),
        ("a:\n\t- b", "line 2"),
        ("a: \x00", "no YAML"),
        ("a: \ud800", "line 1: holds a character"),
        ('a: "\\ud800"', "is no YAML"),
        ("{[a]: 1}", "line 1: a key must be"),
        ("x" * (5 << 20), "longer than 4 MiB"),
    ],
)
def test_bad_text_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        read_documents(text)


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>#'\"\n \t,1~%@`?\\"), max_size=40))
def test_any_text_is_a_tree_or_an_error(text: str) -> None:
    try:
        documents = read_documents(text)
    except InvalidInputError:
        return
    for document in documents:
        plain(document)


leaves = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(max_size=8)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)  # fmt: skip


@given(trees.filter(lambda tree: tree is not None))
def test_what_was_dumped_is_read_back(tree: Any) -> None:
    if _depth(tree) <= 16:
        (document,) = read_documents(yaml.safe_dump(tree))
        assert plain(document) == tree


def _depth(tree: Any) -> int:
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return 1 + max((_depth(item) for item in inner), default=0)
