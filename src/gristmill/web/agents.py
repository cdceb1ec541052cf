"""Who works: agents, what they have, and how much of it is taken."""

from collections.abc import Sequence

from litestar import Response, get

from gristmill.domain.resources import CPU_SHARES, Capacity
from gristmill.services.agents import AgentOverview
from gristmill.web.figures import memory, number, when
from gristmill.web.layout import page, respond
from gristmill.web.markup import Child, Markup, tag
from gristmill.web.visit import TheHouse, TheVisitor


@get("/ui/agents")
async def agent_page(house: TheHouse, visitor: TheVisitor) -> Response[str]:
    """Show every agent that ever registered, those at work first."""
    agents = sorted(await house.agents.overview(), key=lambda agent: agent.live is None)
    cards = [_card(agent) for agent in agents]
    return respond(
        page(
            "Agents",
            tag("h1", "Agents"),
            tag("div", cards or _nobody(), class_="cards", id="agents", data_live=True),
            visitor=visitor,
            place="agents",
            events="/ui/events",
            now=house.chance.now(),
        )
    )


def agent_summary(agents: Sequence[AgentOverview]) -> Markup:
    """Return the connected agents in a few lines."""
    here = [agent for agent in agents if agent.live is not None]
    away = len(agents) - len(here)
    aside = tag("span", f"{away} not connected", class_="aside") if away else None
    rows = [
        tag(
            "li",
            tag("a", agent.row.hostname, href="/ui/agents", id=f"agent-{agent.row.id}"),
            _state(agent),
            tag("span", f"{number(agent.held)} job{'' if agent.held == 1 else 's'}"),
            _meters(agent),
        )
        for agent in here
    ]
    content = tag("ul", rows, class_="agents") if rows else _nobody()
    return tag("section", tag("h2", "Agents", aside), content, id="agents", data_live=True)


def _nobody() -> Markup:
    return tag(
        "p",
        "No agent is connected, so nothing runs. The server starts one of its own with ",
        tag("code", "gristmill serve --engine local"),
        "; another machine joins with ",
        tag("code", "gristmill agent"),
        ".",
        class_="empty",
    )


def _word(agent: AgentOverview) -> str:
    away = agent.live is None and agent.row.state in {"online", "draining"}
    return "offline" if away else agent.row.state


def _state(agent: AgentOverview) -> Markup:
    word = _word(agent)
    return tag("span", word, class_=f"badge agent-{word}")


def _meters(agent: AgentOverview) -> Markup:
    total = agent.row.capacity
    free = agent.live.free if agent.live is not None and agent.live.free is not None else total
    return tag("span", _amounts(total, free), class_="meters")


def _amounts(total: Capacity, free: Capacity) -> list[Markup]:
    cores, cores_free = total.cpu_shares / CPU_SHARES, free.cpu_shares / CPU_SHARES
    meters = [
        _meter("CPU", cores, cores_free, f"{number(cores - cores_free)} of {number(cores)} cores"),
        _meter("Memory", total.memory, free.memory, _of(total.memory, free.memory)),
        _meter("Disk", total.disk, free.disk, _of(total.disk, free.disk)),
    ]
    if total.gpus:
        used = f"{total.gpus - free.gpus} of {total.gpus}"
        meters.append(_meter("GPU", total.gpus, free.gpus, used))
    return meters


def _of(total: int, free: int) -> str:
    return f"{memory(total - free)} of {memory(total)}"


def _meter(label: str, total: float, free: float, text: str) -> Markup:
    share = 100.0 * (total - free) / total if total else 0.0
    bar = tag("rect", width=f"{share:.1f}%", height="100%")
    return tag(
        "span",
        tag("span", label, class_="label"),
        tag("svg", bar, class_="bar", aria_hidden="true"),
        tag("span", text, class_="text"),
        class_="meter",
    )


def _card(agent: AgentOverview) -> Markup:
    row = agent.row
    facts: list[tuple[str, Child]] = [
        ("Running", number(agent.held)),
        ("Last heard", when(agent.seen)),
        ("Pools", ", ".join(row.pools) or "default"),
        ("Labels", ", ".join(f"{key}={value}" for key, value in row.labels.items())),
        ("Containers", ", ".join(row.runtimes)),
        ("Node", tag("code", row.node)),
    ]
    return tag(
        "article",
        tag("h2", f"{row.hostname} ", tag("small", f"agent {row.id}"), _state(agent)),
        _meters(agent) if agent.live is not None else None,
        tag("dl", [[tag("dt", name), tag("dd", value)] for name, value in facts if value]),
        tag("ul", [tag("li", note) for note in row.notes], class_="notes") if row.notes else None,
        class_="card",
    )
