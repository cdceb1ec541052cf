"""The table of jobs: what narrows it, its rows, and the way to older ones."""

from urllib.parse import urlencode

import msgspec

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.state import BY_WORD, JobState
from gristmill.services.queue.views import JobFilter, Listed, Page
from gristmill.web.figures import badge, lasted, when
from gristmill.web.job_text import command_text
from gristmill.web.markup import Child, Markup, tag

LONGEST_WORD = 512
LONGEST_CURSOR = 18
_TITLES = ("Job", "State", "Command", "Group", "Owner", "Submitted", "Ran for", "Exit")


class Wanted(msgspec.Struct, frozen=True):
    """What the table is to show; empty means: any. cursor: where an older page begins."""

    state: str = ""
    group: str = ""
    owner: str = ""
    name: str = ""
    cursor: str = ""

    def address(self, **changed: str) -> str:
        """Return where the page with some of it changed is."""
        fields = {**msgspec.structs.asdict(self), **changed}
        query = urlencode({key: value for key, value in fields.items() if value})
        return f"/ui/?{query}" if query else "/ui/"

    @property
    def narrowed(self) -> bool:
        """Whether anything is left out."""
        return bool(self.state or self.group or self.owner or self.name)

    def filter(self) -> JobFilter:
        """Return this for the listing. Raises InvalidInputError."""
        if self.state and self.state not in BY_WORD:
            known = ", ".join(BY_WORD)
            raise InvalidInputError(f"{self.state!r} is not a state: choose from {known}", "state")
        return JobFilter(
            (BY_WORD[self.state],) if self.state else (),
            self.group or None,
            self.owner or None,
            self.name or None,
        )

    def start(self) -> int | None:
        """Return where the listing begins. Raises InvalidInputError."""
        if not self.cursor:
            return None
        good = self.cursor.isascii() and self.cursor.isdigit()
        if not good or len(self.cursor) > LONGEST_CURSOR:
            raise InvalidInputError("this is no address of an older page: start anew", "cursor")
        return int(self.cursor)


def filter_form(wanted: Wanted, *, admin: bool) -> Markup:
    """Return the fields that narrow the table."""
    options = [
        tag("option", state.word, value=state.word, selected=state.word == wanted.state)
        for state in JobState
    ]
    states = tag("select", tag("option", "any", value=""), options, name="state", id="f-state")
    fields = [
        _field("State", "f-state", states),
        _text_field("Group", "group", wanted.group),
        _text_field("Owner", "owner", wanted.owner) if admin else None,
        _text_field("Name", "name", wanted.name),
    ]
    clear = tag("a", "Clear", href="/ui/", class_="button quiet") if wanted.narrowed else None
    return tag(
        "form",
        fields,
        tag("div", tag("button", "Filter"), clear, class_="buttons"),
        method="get",
        action="/ui/",
        class_="filters",
        role="search",
        aria_label="Filter jobs",
    )


def _text_field(label: str, name: str, value: str) -> Markup:
    field = tag(
        "input",
        name=name,
        id=f"f-{name}",
        value=value,
        maxlength=LONGEST_WORD,
        autocomplete="off",
        spellcheck="false",
    )
    return _field(label, f"f-{name}", field)


def _field(label: str, identifier: str, control: Markup) -> Markup:
    return tag("div", tag("label", label, for_=identifier), control)


def job_section(jobs: Page, wanted: Wanted, first_steps: Markup | None) -> Markup:
    """Return the table. first_steps: what stands there on a server without jobs."""
    return tag(
        "section",
        tag("h2", "Newest jobs" if not wanted.cursor else "Older jobs"),
        _content(jobs, wanted, first_steps),
        _pager(jobs, wanted),
        id="jobs",
        data_live=True,
    )


def _content(jobs: Page, wanted: Wanted, first_steps: Markup | None) -> Child:
    if jobs.jobs:
        return _table(jobs.jobs)
    if first_steps is not None:
        return first_steps
    if jobs.cursor is not None:
        return tag(
            "p", "None among the jobs looked at so far; there are older ones.", class_="empty"
        )
    show_all = tag("a", "Show all jobs", href="/ui/") if wanted.narrowed else None
    return tag("p", "No job fits. ", show_all, class_="empty")


def _table(jobs: list[Listed]) -> Markup:
    head = tag("thead", tag("tr", [tag("th", title, scope="col") for title in _TITLES]))
    rows = [_row(job) for job in jobs]
    return tag(
        "div", tag("table", head, tag("tbody", rows), class_="jobs stacked"), class_="scroll"
    )


def _row(listed: Listed) -> Markup:
    head, words = listed.row.head, listed.words
    link = tag("a", f"#{head.id}", href=f"/ui/jobs/{head.id}", id=f"job-{head.id}")
    name = tag("span", listed.row.name, class_="name") if listed.row.name else None
    exit_code = "" if head.exit_code is None else str(head.exit_code)
    return tag(
        "tr",
        tag("td", tag("span", link, " ", name, class_="clamp", title=listed.row.name or None)),
        tag("td", badge(head.state), class_="state"),
        tag("td", tag("code", command_text(listed.row.spec), class_="clamp"), class_="command"),
        tag("td", words.group, data_title="Group"),
        tag("td", words.owner, data_title="Owner"),
        tag("td", when(head.created_at), data_title="Submitted"),
        tag("td", lasted(head.started_at, head.ended_at), class_="figure", data_title="Ran for"),
        tag("td", exit_code, class_="figure", data_title="Exit"),
    )


def _pager(jobs: Page, wanted: Wanted) -> Markup | None:
    first = tag("a", "Newest", href=wanted.address(cursor="")) if wanted.cursor else None
    last = "" if jobs.cursor is None else str(jobs.cursor)
    older = tag("a", "Older", href=wanted.address(cursor=last), rel="next") if last else None
    if first is None and older is None:
        return None
    return tag("nav", first, older, class_="pager", aria_label="Pages")
