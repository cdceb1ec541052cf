"""``gristmill agents | agent``: the nodes, and joining as one."""

from typing import TYPE_CHECKING, Annotated

import typer

from gristmill.cli.session import Session

if TYPE_CHECKING:
    from gristmill.client.models import AgentView

Steer = Annotated[int | None, typer.Option(metavar="ID")]


def agents(session: Session, *, drain: Steer = None, resume: Steer = None) -> None:
    """List the agents; --drain gives one no more work, --resume gives it some again."""
    client = session.client
    if drain is not None:
        client.drain_agent(drain)
    if resume is not None:
        client.resume_agent(resume)
    found = client.agents()
    if session.output.as_json:
        session.output.json(found)
        return
    headers = ("ID", "NAME", "STATE", "RUNNING", "CPUS", "MEMORY", "GPUS", "POOLS")
    session.output.table(headers, (_row(agent) for agent in found))
    for agent in found:
        for note in agent.notes:
            session.output.note(f"{agent.name}: {note}")


def agent(context: typer.Context) -> None:
    """Join a server from this machine; see gristmill agent --help."""
    from gristmill.agent.main import main

    raise typer.Exit(main(context.args))


def _row(agent: "AgentView") -> tuple[object, ...]:
    from gristmill.domain.units import format_size_mb

    has, free = agent.capacity, agent.free
    size = format_size_mb(has.memory)
    return (
        agent.id,
        agent.name,
        agent.state,
        agent.running,
        f"{free.cpus:g}/{has.cpus:g}" if free else f"{has.cpus:g}",
        f"{format_size_mb(free.memory)}/{size}" if free else size,
        f"{free.gpus}/{has.gpus}" if free else has.gpus,
        " ".join(agent.pools),
    )
