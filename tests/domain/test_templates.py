"""Templates: what is printed of the script, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.templates import check, render

SCRIPT = "a<b> & \"c\" 'd'\r\n{{ x }}"
ESCAPED = "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;\r\n{{ x }}"
TWICE = ESCAPED.replace("&", "&amp;")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{{ content|safe }}", SCRIPT),
        ("{{content | safe}}", SCRIPT),
        ("{{ content }}", ESCAPED),
        ("{{ content|escape }}", ESCAPED),
        ("{{ content|escape|safe }}", SCRIPT),
        ("{{ content|safe|escape }}", SCRIPT),
        ("{{ content|force_escape }}", ESCAPED),
        ("{{ content|force_escape|force_escape }}", TWICE),
        ("{% autoescape off %}{{ content }}{% endautoescape %}", SCRIPT),
        ("{% autoescape off %}{{ content|escape }}{% endautoescape %}", ESCAPED),
        (
            "{% autoescape on %}{% autoescape off %}{% endautoescape %}{{content}}"  # noqa: ISC004
            "{% endautoescape %}",
            ESCAPED,
        ),
        ("#!/bin/sh\r\n{{ content|safe }}\r\n", f"#!/bin/sh\r\n{SCRIPT}\r\n"),
        ("a{# {{ nothing }} #}b", "ab"),
        ("a{# open\n#}b", "a{# open\n#}b"),
        ("a{% comment %}{{ nothing }}{% if %}{% endcomment %}b", "ab"),
        ("{% verbatim %}{{ nothing }}{# x #}{% endverbatim %}", "{{ nothing }}{# x #}"),
        ("{% verbatim a %}{% endverbatim %}{% endverbatim a %}", "{% endverbatim %}"),
        ("${x%%y} {'a': {}} }} %} awk '{print $1}'", "${x%%y} {'a': {}} }} %} awk '{print $1}'"),
        ("", ""),
    ],
)
def test_rendering(body: str, expected: str) -> None:
    check(body)
    assert render(body, SCRIPT) == expected


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("{{ nothing }}", "line 1"),
        ("\n\n{{ content|upper }}", "line 3"),
        ("{{ content.x }}", "only one"),
        ("{{ }}", "only one"),
        ("{% if content %}{% endif %}", "no tag"),
        ('{% include "x" %}', "no tag"),
        ("{% comment %}", "endcomment"),
        ("{% verbatim x %}{% endverbatim %}", "endverbatim x"),
        ("{% autoescape maybe %}", "no tag"),
        ("{% autoescape off %}", "endautoescape"),
        ("{% endautoescape %}", "no tag"),
    ],
)
def test_refusing(body: str, what: str) -> None:
    with pytest.raises(InvalidInputError, match=what):
        check(body)


@given(st.text(), st.text())
def test_scripts_are_never_read_as_templates(before: str, script: str) -> None:
    around = before.replace("{", "").replace("}", "").replace("%", "")
    assert render(around + "{{ content|safe }}", script) == around + script
