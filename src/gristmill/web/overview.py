"""The first page: how many jobs are in which state, who works, and the newest jobs."""

from typing import Annotated
from urllib.parse import urlencode

import msgspec
from litestar import Response, get
from litestar.params import Parameter

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.state import BY_WORD, JobState
from gristmill.services.house import House
from gristmill.services.queue.listing import JobFilter, Listed, Page
from gristmill.web.agent_cards import agent_summary
from gristmill.web.figures import STATE_TITLES, badge, lasted, number, when
from gristmill.web.job_text import command_text
from gristmill.web.first_steps import FirstSteps, first_steps
from gristmill.web.layout import page, respond
from gristmill.web.markup import Child, Markup, tag
from gristmill.web.sessions import Visitor

JOBS_A_PAGE = 50
LONGEST_WORD = 512

Word = Annotated[str, Parameter(max_length=LONGEST_WORD)]
Counts = dict[JobState, int]


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
        if not (self.cursor.isascii() and self.cursor.isdigit() and len(self.cursor) < 19):
            raise InvalidInputError("this is no address of an older page: start anew", "cursor")
        return int(self.cursor)


@get(["/ui", "/ui/"])
async def overview(
    request: AnyRequest,
    house: House,
    visitor: Visitor,
    state: Word = "",
    group: Word = "",
    owner: Word = "",
    name: Word = "",
    cursor: Word = "",
) -> Response[str]:
    """Show the overview."""
    wanted = Wanted(state, group, owner, name, cursor)
    jobs = await _load(house, visitor, wanted)
    counts = await house.listing.counts(visitor.who, None, None)
    agents = await house.agents.overview()
    return respond(
        page(
            "Jobs",
            tag("h1", "Jobs", class_="sr-only"),
            _counts(counts, wanted),
            agent_summary(agents),
            _filters(wanted, admin=visitor.who.admin),
            _jobs(jobs, wanted, None if any(counts.values()) else _steps(request, house, visitor)),
            visitor=visitor,
            place="overview",
            events="/ui/events",
            now=house.chance.now(),
        )
    )


async def _load(house: House, visitor: Visitor, wanted: Wanted) -> Page:
    """Ask for one job more than is shown, so that no link leads to an empty page."""
    found = await house.listing.page(
        visitor.who, wanted.filter(), limit=JOBS_A_PAGE + 1, cursor=wanted.start(), newest=True
    )
    if len(found.jobs) <= JOBS_A_PAGE:
        return found
    shown = found.jobs[:JOBS_A_PAGE]
    return Page(shown, shown[-1].row.head.id)


def _counts(counts: Counts, wanted: Wanted) -> Markup:
    total = sum(counts.values())
    tiles = [_tile(state, counts[state], wanted) for state in JobState]
    return tag(
        "section",
        tag("h2", "By state", tag("span", f"{number(total)} in all", class_="aside")),
        tag("ul", tiles, class_="tiles"),
        _share_bar(counts, total),
        id="counts",
        data_live=True,
    )


def _tile(state: JobState, count: int, wanted: Wanted) -> Markup:
    chosen = wanted.state == state.word
    address = wanted.address(state="" if chosen else state.word, cursor="")
    link = tag(
        "a",
        tag("b", number(count)),
        tag("span", state.word),
        href=address,
        id=f"tile-{state.word}",
        title=STATE_TITLES[state],
        aria_current="true" if chosen else None,
        class_=f"state-{state.word}" + ("" if count else " none"),
    )
    return tag("li", link)


def _share_bar(counts: Counts, total: int) -> Markup:
    """Drawn as SVG: its widths are attributes, which the page's policy allows."""
    bars, left = [], 0.0
    for state, count in counts.items():
        width = 100.0 * count / total if total else 0.0
        if width:
            bars.append(
                tag("rect", x=f"{left:.3f}%", width=f"{width:.3f}%", height="100%",
                    class_=f"state-{state.word}")
            )  # fmt: skip
        left += width
    return tag("svg", bars, class_="shares", aria_hidden="true")


def _filters(wanted: Wanted, *, admin: bool) -> Markup:
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
        "input", name=name, id=f"f-{name}", value=value, autocomplete="off", spellcheck="false",
        maxlength=LONGEST_WORD,
    )  # fmt: skip
    return _field(label, f"f-{name}", field)


def _field(label: str, identifier: str, control: Markup) -> Markup:
    return tag("div", tag("label", label, for_=identifier), control)


def _jobs(jobs: Page, wanted: Wanted, steps: FirstSteps | None) -> Markup:
    """steps: what to show on a server without jobs."""
    content: Child
    if jobs.jobs:
        content = [_table(jobs.jobs), _pager(jobs, wanted)]
    elif steps is not None:
        content = _first_steps(steps)
    elif jobs.cursor is not None:
        content = [tag("p", "None so far; there are older jobs.", class_="empty"),
                   _pager(jobs, wanted)]  # fmt: skip
    else:
        content = tag("p", "No job fits. ", tag("a", "Show all jobs", href="/ui/"), class_="empty")
    return tag("section", tag("h2", "Newest jobs"), content, id="jobs", data_live=True)


def _table(jobs: list[Listed]) -> Markup:
    titles = ("Job", "State", "Command", "Group", "Owner", "Submitted", "Ran for", "Exit")
    head = tag("thead", tag("tr", [tag("th", title, scope="col") for title in titles]))
    return tag(
        "div",
        tag("table", head, tag("tbody", [_row(job) for job in jobs]), class_="jobs stacked"),
        class_="scroll",
    )


def _row(listed: Listed) -> Markup:
    head, words = listed.row.head, listed.words
    name = tag("span", listed.row.name, class_="name") if listed.row.name else None
    link = tag("a", f"#{head.id}", href=f"/ui/jobs/{head.id}", id=f"job-{head.id}")
    exit_code = "" if head.exit_code is None else str(head.exit_code)
    return tag(
        "tr",
        tag("td", link, " ", name, data_title="Job"),
        tag("td", badge(head.state), data_title="State"),
        tag("td", tag("code", command_text(listed.row.spec)), class_="command"),
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


def _first_steps(steps: FirstSteps) -> Markup:
    return tag(
        "div",
        tag("p", "No jobs yet. Submit one from a terminal:"),
        tag("pre", steps.command),
        tag("p", "or from anywhere else:"),
        tag("pre", steps.curl),
        tag("p", "What else a job can say is in ", tag("a", "the documentation", href="/docs"), "."),
        class_="empty",
    )
