"""Text stays text, wherever it is put."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.web.markup import Markup, escape, join, tag, visible
from tests.web.place import Page

HOSTILE = "<script>alert(1)</script> & \"double\" 'single' </p> <!-- --> &amp;"
ANY_TEXT = st.text(st.characters(exclude_categories=()))


class Text(HTMLParser):
    def __init__(self, markup: str) -> None:
        super().__init__()
        self.seen = ""
        self.attribute: str | None = None
        self.elements = 0
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements += 1
        self.attribute = dict(attrs)["title"]

    def handle_data(self, data: str) -> None:
        self.seen += data


@given(ANY_TEXT)
def test_any_text_comes_back_as_the_text_it_was(text: str) -> None:
    parsed = Text(tag("p", text, title=text))
    assert parsed.elements == 1
    assert parsed.seen == visible(text)
    assert parsed.attribute == visible(text)


@given(ANY_TEXT)
def test_what_is_visible_can_be_sent(text: str) -> None:
    seen = visible(text)
    assert visible(seen) == seen
    assert len(seen) == len(text)
    seen.encode()


def test_hostile_text_makes_no_element() -> None:
    page = Page(tag("p", HOSTILE, title=HOSTILE))
    assert page.elements == [("p", {"title": HOSTILE})]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("bell\x07", "bell\u2407"),
        ("esc\x1b[31m", "esc\u241b[31m"),
        ("del\x7f", "del\u2421"),
        ("c1\x9b", "c1\ufffd"),
        ("right\u202eleft", "right\ufffdleft"),
        ("tab\tline\n", "tab\tline\n"),
        ("\ud800", "\ufffd"),
    ],
)
def test_controls_are_shown_as_signs(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_markup_is_not_escaped_twice() -> None:
    assert escape(Markup("<b>")) == "<b>"
    assert tag("p", tag("b", "<")) == "<p><b>&lt;</b></p>"
    assert join("<", Markup("<br>"), None, [1, ["a", 2.5]]) == "&lt;<br>1a2.5"


def test_attributes_can_be_bare_or_left_out() -> None:
    assert tag("input", name="a", required=True, disabled=False, value=None) == (
        '<input name="a" required>'
    )
    assert tag("label", "x", for_="a", aria_label="b") == '<label for="a" aria-label="b">x</label>'
