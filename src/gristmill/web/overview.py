"""The first page: how many jobs are in which state, who works, and the newest jobs."""

from typing import Annotated

from litestar import Response, get
from litestar.params import QueryParameter

from gristmill.domain.state import JobState
from gristmill.services.house import House
from gristmill.services.queue.views import Page
from gristmill.web.agents import agent_summary
from gristmill.web.figures import STATE_TITLES, number
from gristmill.web.first_steps import first_steps
from gristmill.web.job_table import LONGEST_WORD, Wanted, filter_form, job_section
from gristmill.web.layout import page, respond
from gristmill.web.markup import Markup, tag
from gristmill.web.sessions import Visitor
from gristmill.web.visit import AnyRequest, TheHouse, TheVisitor

JOBS_A_PAGE = 50

Word = Annotated[str, QueryParameter(max_length=LONGEST_WORD)]
Counts = dict[JobState, int]


@get("/ui")
async def overview(
    request: AnyRequest,
    house: TheHouse,
    visitor: TheVisitor,
    in_state: Annotated[str, QueryParameter(name="state", max_length=LONGEST_WORD)] = "",
    group: Word = "",
    owner: Word = "",
    name: Word = "",
    cursor: Word = "",
) -> Response[str]:
    """Show the overview."""
    wanted = Wanted(in_state, group, owner, name, cursor)
    jobs = await _load(house, visitor, wanted)
    counts = await house.listing.counts(visitor.who, None, None)
    agents = await house.agents.overview()
    steps = None if any(counts.values()) else first_steps(request, house, visitor)
    return respond(
        page(
            "Jobs",
            tag("h1", "Jobs", class_="sr-only"),
            _counts(counts, wanted),
            agent_summary(agents),
            filter_form(wanted, admin=visitor.who.admin),
            job_section(jobs, wanted, steps),
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
    link = tag(
        "a",
        tag("b", number(count)),
        tag("span", state.word),
        href=wanted.address(state="" if chosen else state.word, cursor=""),
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
        place = {"x": f"{left:.3f}%", "width": f"{width:.3f}%"}
        bars.append(tag("rect", height="100%", class_=f"state-{state.word}", **place))
        left += width
    return tag("svg", bars, class_="shares", aria_hidden="true")
