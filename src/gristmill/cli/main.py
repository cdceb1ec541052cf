"""The ``gristmill`` command: its subcommands, and how it ends."""

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from gristmill.cli import (
    agents,
    data,
    declarations,
    demo,
    events,
    failures,
    images,
    jobs,
    logs,
    metrics,
    objects,
    schedules,
    serve,
    submit,
    tokens,
    waiting,
    workflows,
)
from gristmill.cli import (
    run as run_command,
)
from gristmill.cli.session import command

EXIT_CODES = """\
Exit codes: 0 well, 1 a job failed or the answer is no, 2 bad usage or input, 3 no server or not
available, 4 not permitted, 5 not found, 124 waited long enough, 130 interrupted."""

app = typer.Typer(
    name="gristmill",
    help="One queue for shell commands, containers and more.",
    epilog=EXIT_CODES,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
image_app = typer.Typer(help="Container images from folders and archives.")
object_app = typer.Typer(help="Files kept on the server.")
token_app = typer.Typer(help="Access tokens.")
metrics_app = typer.Typer(help="Measurements of runs.")
workflow_app = typer.Typer(help="Jobs that wait for one another, as one.")
schedule_app = typer.Typer(help="Scripts that run at their times, by hand, or after others.")

VERBATIM = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "allow_interspersed_args": True,
}

app.command(context_settings=VERBATIM, add_help_option=False)(serve.serve)
app.command()(demo.demo)
app.command(context_settings={"allow_interspersed_args": False})(command(submit.submit))
app.command("run", context_settings={"allow_interspersed_args": False})(command(run_command.run))
app.command()(command(jobs.status))
app.command()(command(jobs.jobs))
app.command()(command(logs.logs))
app.command()(command(waiting.wait))
app.command()(command(jobs.cancel))
app.command()(command(jobs.retry))
app.command()(command(agents.agents))
app.command()(command(events.events))
app.command()(command(declarations.apply))
app.command()(command(declarations.export))
app.command(context_settings=VERBATIM, add_help_option=False)(agents.agent)
app.command()(command(objects.usage))
object_app.command("put")(command(objects.put))
object_app.command("get")(command(objects.get))
object_app.command("list")(command(objects.show))
object_app.command("delete")(command(objects.remove))
image_app.command("add")(command(images.add))
image_app.command("list")(command(images.show))
image_app.command("remove")(command(images.remove))
token_app.command("create")(command(tokens.create))
token_app.command("list")(command(tokens.show))
token_app.command("approve")(command(tokens.approve))
token_app.command("revoke")(command(tokens.revoke))
schedule_app.command("list")(command(schedules.show_all))
schedule_app.command("show")(command(schedules.show))
schedule_app.command("run")(command(schedules.run))
schedule_app.command("start")(command(schedules.start))
schedule_app.command("pause")(command(schedules.pause))
schedule_app.command("resume")(command(schedules.resume))
schedule_app.command("next")(command(schedules.coming))
schedule_app.command("log")(command(schedules.log))
schedule_app.command("kill")(command(schedules.kill))
schedule_app.command("backfill")(command(schedules.backfill))
app.add_typer(schedule_app, name="schedule")
app.add_typer(image_app, name="image")
app.add_typer(object_app, name="object")
for word, kind, purpose, commands in (
    ("data", "datasets", "Tables.", {"put": data.put_table, "get": data.get_table}),
    (
        "model",
        "models",
        "Models of scikit-learn's estimators.",
        {"create": data.make_model, "fit": data.fit, "predict": data.predict,
         "versions": data.versions},
    ),
    (
        "notebook",
        "notebooks",
        "Notebooks and their runs.",
        {"put": data.put_notebook, "get": data.get_notebook, "run": data.run_notebook,
         "runs": data.notebook_runs},
    ),
    ("script", "scripts", "Python with a run function.",
     {"put": data.put_script, "run": data.run_script}),
):  # fmt: skip
    group = typer.Typer(help=purpose)
    for verb, act in {**commands, "list": data.lister(kind), "delete": data.remover(kind)}.items():
        group.command(verb)(command(act))
    app.add_typer(group, name=word)
app.add_typer(token_app, name="token")
metrics_app.command("list")(command(metrics.sources))
metrics_app.command("show")(command(metrics.show))
metrics_app.command("plot")(command(metrics.plot))
app.add_typer(metrics_app, name="metrics")
workflow_app.command("submit")(command(workflows.submit))
workflow_app.command("status")(command(workflows.status))
workflow_app.command("graph")(command(workflows.graph))
workflow_app.command("list")(command(workflows.show))
workflow_app.command("wait")(command(workflows.wait))
workflow_app.command("cancel")(command(workflows.cancel))
workflow_app.command("retry")(command(workflows.retry))
app.add_typer(workflow_app, name="workflow")


def _print_version(wanted: bool) -> None:
    if wanted:
        from gristmill import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print it."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; errors become a line on standard error."""
    from gristmill.domain.errors import GristmillError

    try:
        result = typer.main.get_command(app).main(
            arguments, prog_name="gristmill", standalone_mode=False
        )
    except typer.TyperException as error:
        return _fail(_advised(error), error.exit_code)
    except GristmillError as error:
        return _fail(failures.one_line(error), failures.exit_code(error))
    except (KeyboardInterrupt, typer.Abort):
        return failures.INTERRUPTED
    return result if isinstance(result, int) else 0


def _advised(error: "typer.TyperException") -> str:
    """Return what was wrong with the words of a command, and where to read how it is used."""
    context = getattr(error, "ctx", None)
    advice = f" (see {context.command_path} --help)" if context is not None else ""
    return error.format_message().rstrip(".") + advice


def _fail(message: str, code: int) -> int:
    sys.stderr.write(f"gristmill: {' '.join(message.split())}\n")
    return code


def main() -> None:
    """Run what the process was asked for, and end it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))
