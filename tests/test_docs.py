"""What the documents point to is there."""

import re
from pathlib import Path

import pytest
import typer

from gristmill.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_ASKED_HERE = {"serve", "agent", "image", "schedule", "token"}
"""Commands that parse their own words, or have commands below them."""

_LINK = re.compile(r"\]\(([^)#:]+)(#[^)]*)?\)")
_COMMAND = re.compile(r"^gristmill ([a-z]+)(.*)$", re.MULTILINE)
_OPTION = re.compile(r"(?<=\s)--[a-z][a-z-]*")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target, _ in _LINK.findall(page.read_text()):
        assert (page.parent / target).is_file(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_exist(page: Path) -> None:
    group = typer.main.get_group(app)
    for name, rest in _COMMAND.findall(page.read_text()):
        command = group.commands[name]
        if name in NOT_ASKED_HERE:
            continue
        for word in rest.split()[:1]:
            command = getattr(command, "commands", {}).get(word, command)
        known = {option for parameter in command.params for option in parameter.opts}
        words = rest.split(" -- ")[0].split("#")[0]
        for option in _OPTION.findall(words):
            assert option in known, f"gristmill {name} {option}"


def test_make_has_every_target_that_the_readme_names() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(
        r"(?<=`)make ([a-z]+)|^make ([a-z]+)", (ROOT / "README.md").read_text()
    ):
        assert f"\n{''.join(target)}:" in makefile
