"""The frame around the demo: a throw-away home and server, the summary, and the cleaning up."""

import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from gristmill.client import InvalidInputError
from gristmill.demo import pipeline
from gristmill.demo.play import Findings, Play
from gristmill.demo.private_server import PrivateServer
from gristmill.demo.screen import Screen


def run(home: Path | None, *, keep: bool, screen: Screen) -> None:
    """Run the demo, and leave nothing behind.

    home: a new or empty folder, None for one of our own. keep: go on serving until interrupted;
    a home that was named stays then. Raises DemoFailedError, UnavailableError when the server
    does not start, and InvalidInputError for a home that is in use.
    """
    began = time.monotonic()
    with _stoppable(), _throw_away(home, keep=keep) as folder:
        screen.say(f"Gristmill demo: a real server with a home of its own, {folder}", "bold")
        with PrivateServer(folder) as server, server.client() as client:
            server.await_agent(client)
            screen.done(f"server and agent are up at {server.http} and {server.https}")
            findings = Play(server, client, screen, folder / "demo").run()
            _summarise(screen, findings, time.monotonic() - began)
            if keep:
                _serve_on(screen, server)
    if keep and home is not None:
        screen.say(f"Stopped. All is kept: gristmill serve --home {folder} goes on from here.")
    else:
        screen.say("Server, agent and home are gone; nothing was left behind.")
    if not keep:
        screen.say("Next: `gristmill demo --keep` to look around in the dashboard and the output,")
        screen.say("or `gristmill serve`, and then `gristmill submit --follow -- echo hello`.")


def _summarise(screen: Screen, findings: Findings, seconds: float) -> None:
    screen.say("")
    screen.chart(findings.top)
    screen.say("")
    jobs = pipeline.SHORT_JOBS + pipeline.PIPELINE_JOBS + 2
    counted = (
        f"{pipeline.PIPELINE_JOBS} jobs in {findings.words_seconds:.1f} s "
        f"({findings.words_rate:,.0f} jobs/s), {findings.cpu_seconds:.1f} s of CPU"
    )
    # Jobs so small and short that no peak was seen have none to show.
    if findings.peak_memory:
        counted += f", at most {findings.peak_memory} MB in one job"
    screen.facts(
        [
            ("what ran", f"{jobs} jobs in {seconds:.1f} s, all of it checked"),
            ("short jobs", f"{findings.short_rate:,.0f} jobs/s from submission to recorded result"),
            ("pipeline", counted),
        ]
    )


def _serve_on(screen: Screen, server: PrivateServer) -> None:
    output = server.home / "demo"
    screen.facts(
        [
            ("dashboard", f"{server.http}/ui"),
            ("token", f"{server.home / 'client.token'}"),
            ("output", f"{output / 'words.tsv'}, {output / 'words.svg'}"),
            ("try", f"gristmill jobs --home {server.home} --name count"),
            ("", f"gristmill submit --home {server.home} --follow -- echo hello"),
        ]
    )
    screen.say("Serving until Ctrl-C (or SIGTERM).", "bold")
    with contextlib.suppress(KeyboardInterrupt):
        server.wait()


@contextlib.contextmanager
def _throw_away(home: Path | None, *, keep: bool) -> Iterator[Path]:
    """Make the home, and remove it in the end unless it was named and is to be kept."""
    folder = _own_folder(home)
    try:
        yield folder
    finally:
        if not (keep and home is not None):
            shutil.rmtree(folder, ignore_errors=True)


def _own_folder(home: Path | None) -> Path:
    if home is None:
        return Path(tempfile.mkdtemp(prefix="gristmill-demo-"))
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        in_use = any(home.iterdir())
    except OSError as error:
        raise InvalidInputError(f"cannot use {home}: {error.strerror}", "home") from error
    if in_use:
        raise InvalidInputError(f"{home} is not empty; name a new folder", "home")
    return home.absolute()


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the demo as Ctrl-C does, and a second one not its cleaning up."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
