"""``gristmill submit``: add jobs."""

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gristmill.cli import parse
from gristmill.cli.files import read_text
from gristmill.cli.session import Session

if TYPE_CHECKING:
    from gristmill.client.models import Submitted
    from gristmill.domain.job import JobSpec

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="COMMAND", help="One word is shell text, several are quoted."),
]


def _text(*names: str, help: str, metavar: str = "TEXT") -> Any:  # noqa: A002
    return typer.Option(*names, help=help, metavar=metavar)


def submit(
    session: Session,
    words: Words = None,
    *,
    file: Annotated[
        str | None,
        _text(
            "-f", "--file", metavar="FILE", help="Jobs: JSON, JSON lines or commands; - is stdin."
        ),
    ] = None,
    name: Annotated[str | None, _text("--name", help="What the job is called.")] = None,
    group: Annotated[str | None, _text("--group", help="What it is reported under.")] = None,
    project: Annotated[str | None, _text("--project", help="The project it is for.")] = None,
    cpus: Annotated[float | None, typer.Option(help="Cores; 0 and fractions are fine.")] = None,
    memory: Annotated[
        int | None, typer.Option(parser=parse.size, metavar="SIZE", help="Such as 512M or 2G.")
    ] = None,
    disk: Annotated[
        int | None, typer.Option(parser=parse.size, metavar="SIZE", help="Such as 10G.")
    ] = None,
    gpus: Annotated[int | None, typer.Option(help="Whole devices.")] = None,
    nodes: Annotated[int | None, typer.Option(help="Nodes at once.")] = None,
    time: Annotated[
        float | None,
        typer.Option(parser=parse.duration, metavar="TIME", help="Limit, such as 30m or 1h."),
    ] = None,
    retries: Annotated[int | None, typer.Option(help="Tries after the first.")] = None,
    priority: Annotated[int | None, typer.Option(help="Higher goes first.")] = None,
    env: Annotated[
        list[str] | None, _text("--env", metavar="NAME=VALUE", help="For its environment.")
    ] = None,
    cwd: Annotated[
        str | None, _text("--cwd", metavar="DIR", help="Where it runs; this folder by default.")
    ] = None,
    scratch: Annotated[bool, typer.Option("--scratch", help="Run in a fresh folder.")] = False,
    after: Annotated[
        list[int] | None, typer.Option(metavar="ID", help="Wait for this job to succeed.")
    ] = None,
    after_group: Annotated[
        list[str] | None, _text("--after-group", help="Wait for all jobs of a dep-group.")
    ] = None,
    dep_group: Annotated[
        list[str] | None, _text("--dep-group", help="A group that others may wait for.")
    ] = None,
    label: Annotated[
        list[str] | None, _text("--label", metavar="NAME=VALUE", help="A mark to find it by.")
    ] = None,
    image: Annotated[str | None, _text("--image", help="Run in this container image.")] = None,
    mutex: Annotated[str | None, _text("--mutex", help="One at a time of those with it.")] = None,
    delay: Annotated[
        float | None,
        typer.Option(parser=parse.duration, metavar="TIME", help="Not before this has passed."),
    ] = None,
    pool: Annotated[str | None, _text("--pool", help="Only on agents of this pool.")] = None,
    key: Annotated[
        str | None, _text("--key", help="No second live job with the same key is added.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until they have ended.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show its output until it ends.")
    ] = False,
) -> None:
    """Add a job, or many from a file, and print their ids.

    Options stand before the command: gristmill submit --memory 2G -- sort -u big.txt
    """
    if bool(words) == (file is not None):
        raise typer.BadParameter("give either a command or --file")
    if cwd is not None and scratch:
        raise typer.BadParameter("give either --cwd or --scratch")
    options = _fields(
        name=name,
        group=group,
        project=project,
        resources=_fields(
            cpus=cpus, memory=memory, disk=disk, gpus=gpus, nodes=nodes, walltime=time
        ),
        retry=_fields(retries=retries),
        priority=priority,
        env=parse.pairs(env, "--env"),
        cwd=None if cwd is None else os.path.abspath(cwd),
        after=after,
        after_groups=after_group,
        dep_groups=dep_group,
        labels=parse.pairs(label, "--label"),
        image=image,
        mutex=mutex,
        delay=delay,
        pool=pool,
        key=key,
    )
    here = None if scratch else os.getcwd()
    specs = _specs(words, file, options, here)
    if follow and len(specs) != 1:
        raise typer.BadParameter("--follow needs exactly one job; use --wait")
    _send(session, specs, wait=wait, follow=follow)


def _fields(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, [], {})}


def _specs(
    words: list[str] | None, file: str | None, options: dict[str, Any], here: str | None
) -> "list[JobSpec]":
    from gristmill.cli import specs

    if file is not None:
        return specs.specs_in(read_text(file), options, here)
    place = {} if here is None else {"cwd": here}
    text = specs.command_text(words or [])
    return [specs.spec_of({**place, **options, "command": text})]


def _send(session: Session, specs: "list[JobSpec]", *, wait: bool, follow: bool) -> None:
    from gristmill.cli import waiting

    submitted = session.client.submit_many(specs)
    if follow:
        waiting.follow(session, submitted.ids[0])
    elif wait:
        _show_ids(session, submitted)
        waiting.wait_for(session, list(submitted.ids), None)
    elif session.output.as_json:
        session.output.json(submitted)
    else:
        _show_ids(session, submitted)


def _show_ids(session: Session, submitted: "Submitted") -> None:
    if not session.output.as_json:
        session.output.raw("".join(f"{job_id}\n" for job_id in submitted.ids).encode())
    repeated = len(submitted.ids) - submitted.added
    if repeated:
        session.output.note(f"{repeated} of them were there already")
