"""``gristmill run``: one program on several ranks at once."""

import os
from typing import Annotated

import typer

from gristmill.cli import parse
from gristmill.cli.session import Session


def run(
    session: Session,
    words: Annotated[list[str], typer.Argument(metavar="COMMAND", help="What each rank runs.")],
    *,
    nproc: Annotated[int, typer.Option("--nproc", min=1, help="Ranks.")] = 1,
    cpus: Annotated[float | None, typer.Option(help="Cores of each rank.")] = None,
    memory: Annotated[
        int | None, typer.Option(parser=parse.size, metavar="SIZE", help="Of each rank.")
    ] = None,
    gpus: Annotated[int | None, typer.Option(help="Devices of each rank.")] = None,
    time: Annotated[
        float | None,
        typer.Option(parser=parse.duration, metavar="TIME", help="Limit, such as 30m or 1h."),
    ] = None,
    bandwidth: Annotated[
        float | None,
        typer.Option(help="Mbit/s that each rank may send the others, where the node can."),
    ] = None,
    restarts: Annotated[
        int, typer.Option(min=0, help="How often all ranks begin again after one has failed.")
    ] = 0,
    goal: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="A line with this in it means the work is done."),
    ] = None,
    image: Annotated[str | None, typer.Option(help="Run in this container image.")] = None,
    name: Annotated[str | None, typer.Option(help="What the run is called.")] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", metavar="NAME=VALUE", help="For each rank.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Print the id and leave the ranks to the server.")
    ] = False,
) -> None:
    """Run a program on N ranks, with the environment that torchrun would give them.

    gristmill run --nproc 4 -- python train.py. When one rank fails, all are ended.
    """
    from gristmill.cli import specs, waiting
    from gristmill.cli.ranks import Ranks

    resources = {
        "cpus": _share(session, nproc) if cpus is None else cpus,
        "memory": memory or 0,
        "gpus": gpus,
        "walltime": time,
    }
    fields = {
        "command": specs.command_text(words),
        "name": name or words[0],
        "group": "",
        "cwd": os.getcwd(),
        "distributed": True,
        "resources": {
            "nodes": nproc,
            **{key: value for key, value in resources.items() if value is not None},
        },
        "retry": {"retries": restarts, "delay": 0.0},
        "env": parse.pairs(env, "--env"),
    }
    if bandwidth is not None:
        fields["bandwidth"] = bandwidth
    if goal is not None:
        fields["goal"] = {"text": goal}
    if image is not None:
        fields["image"] = image
    submitted = session.client.submit_many([specs.spec_of(fields)])
    job = submitted.ids[0]
    if detach:
        if session.output.as_json:
            session.output.json(submitted)
        else:
            session.output.line(str(job))
        return
    session.output.note(f"job {job}: {nproc} rank{'s' * (nproc > 1)}")
    waiting.leave_with(session, Ranks(session, job, nproc).follow())


def _share(session: Session, ranks: int) -> float:
    """Return the cores of each rank such that all find room: one, or less on a small machine."""
    from gristmill.domain.errors import NotPermittedError

    try:
        cores = sum(agent.capacity.cpus for agent in session.client.agents())
    except NotPermittedError:
        cores = 0.0
    return min(1.0, int((cores or os.cpu_count() or 1) * 1000 / ranks) / 1000)
