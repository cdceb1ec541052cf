"""The supervisor of the embedded agent, with real processes in the agent's place."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from gristmill.agent.processes import process_start
from gristmill.domain.clock import Chance
from gristmill.engine import local
from gristmill.engine.local import LocalEngine, lean_environment

AGENT = """
import fcntl, json, os, signal, sys
from pathlib import Path
from gristmill.agent.processes import process_start
folder = Path(sys.argv[1]) / "agent"
folder.mkdir(exist_ok=True)
lock = os.open(folder / "agent.lock", os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
if sys.argv[2] == "fail":
    sys.exit("cannot work")
card = {"pid": os.getpid(), "process_start": process_start(os.getpid()), "node": "here",
        "instance": "one", "version": "0"}
(folder / "new").write_text(json.dumps(card))
(folder / "new").rename(folder / "agent.json")
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
signal.pause()
"""


class House:
    """A home, and what its engine said of dead agents."""

    def __init__(self, home: Path, behaviour: str = "work") -> None:
        self.home = home
        self.dead: list[str] = []
        self.told = asyncio.Event()
        self.command = [sys.executable, "-c", AGENT, str(home), behaviour]
        self.engine = LocalEngine(home, self.command, self.note_death, Chance(), os.environ)

    async def note_death(self, node: str) -> None:
        self.dead.append(node)
        self.told.set()

    async def agent_is_ready(self) -> int:
        """Wait until the agent has written its card; return its process id."""
        async with asyncio.timeout(20):
            while True:
                pid = self.engine.agent_pid
                with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
                    card = json.loads((self.home / "agent" / "agent.json").read_text())
                    if card["pid"] == pid:
                        return int(card["pid"])
                await asyncio.sleep(0.01)

    async def next_death(self) -> None:
        async with asyncio.timeout(20):
            await self.told.wait()
        self.told.clear()


@contextlib.asynccontextmanager
async def running(house: House) -> AsyncIterator[House]:
    await house.engine.start()
    try:
        yield house
    finally:
        assert await house.engine.stop(stop_agent=True, grace=20)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Awaitable[None]], None]:
    def runner(work: Awaitable[None]) -> None:
        async def main() -> None:
            await work

        with asyncio.Runner(loop_factory=request.param) as loop:
            loop.run(main())

    return runner


def reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def pid_of_the_past() -> int:
    with subprocess.Popen(["true"]) as process:
        return process.pid


def environment_of(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


Run = Callable[[Awaitable[None]], None]


def test_an_agent_that_dies_is_replaced_once_its_death_was_told(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        async with running(House(tmp_path)) as house:
            first = await house.agent_is_ready()
            assert house.dead == []
            os.kill(first, signal.SIGKILL)
            await house.next_death()
            assert house.engine.agent_pid is None
            second = await house.agent_is_ready()
            assert second != first
            assert house.dead == ["here"]
        assert house.dead == ["here"]

    run(main())


def test_the_agent_survives_the_server_and_is_adopted(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        earlier = House(tmp_path)
        await earlier.engine.start()
        pid = await earlier.agent_is_ready()
        assert not await earlier.engine.stop(stop_agent=False, grace=0)
        assert process_start(pid)
        async with running(House(tmp_path)) as later:
            assert later.engine.agent_pid == pid
            assert later.dead == []
            os.kill(pid, signal.SIGKILL)
            await later.next_death()
            assert await later.agent_is_ready() != pid
        reap(pid)

    run(main())


def test_a_death_while_no_server_ran_is_told_before_a_new_agent_starts(
    tmp_path: Path, run: Run
) -> None:
    async def main() -> None:
        house = House(tmp_path)
        (tmp_path / "agent").mkdir()
        card = {
            "pid": pid_of_the_past(),
            "process_start": 1,
            "node": "here",
            "instance": "i",
            "version": "",
        }
        (tmp_path / "agent" / "agent.json").write_text(json.dumps(card))
        async with running(house):
            assert house.dead == ["here"]
            await house.agent_is_ready()

    run(main())


def test_an_agent_in_its_own_session_without_the_servers_secrets(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        os.environ["GRISTMILL_DATABASE"] = "postgresql://app:secret@db"
        try:
            house = House(tmp_path)
        finally:
            del os.environ["GRISTMILL_DATABASE"]
        async with running(house):
            pid = await house.agent_is_ready()
            assert os.getsid(pid) == pid
            assert "secret" not in environment_of(pid)
            assert "ready" in (tmp_path / "agent" / "agent.log").read_text()

    run(main())


def test_an_agent_that_fails_at_once_is_retried_ever_more_slowly(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "FIRST_PAUSE", 0.05)

    async def main() -> None:
        house = House(tmp_path, "fail")
        loop = asyncio.get_running_loop()
        starts: list[float] = []
        enough = asyncio.Event()
        spawn = house.engine._spawn

        def noting() -> object:
            starts.append(loop.time())
            if len(starts) == 4:
                enough.set()
            return spawn()

        house.engine._spawn = noting  # type: ignore[assignment,method-assign]
        await house.engine.start()
        async with asyncio.timeout(20):
            await enough.wait()
        await house.engine.stop(stop_agent=True, grace=10)
        pauses = [later - earlier for earlier, later in itertools.pairwise(starts)]
        assert pauses[0] >= 0.05
        assert pauses[1] >= 0.1
        assert pauses[2] >= 0.2
        assert house.dead == []
        assert "cannot work" in (tmp_path / "agent" / "agent.log").read_text()

    run(main())


def test_an_agent_that_ignores_the_order_is_left(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        house = House(tmp_path, "deaf")
        await house.engine.start()
        pid = await house.agent_is_ready()
        assert not await house.engine.stop(stop_agent=True, grace=0.1)
        os.kill(pid, signal.SIGKILL)
        reap(pid)

    run(main())


def test_a_cleanup_that_fails_does_not_keep_the_next_agent_away(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        house = House(tmp_path)

        async def fail(node: str) -> None:
            await house.note_death(node)
            raise OSError("database gone")

        house.engine._on_agent_dead = fail
        async with running(house):
            first = await house.agent_is_ready()
            os.kill(first, signal.SIGKILL)
            await house.next_death()
            assert await house.agent_is_ready() != first

    run(main())


def test_an_unreadable_card_does_not_stop_a_start(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        (tmp_path / "agent").mkdir()
        (tmp_path / "agent" / "agent.json").write_text('{"pid": "x"')
        async with running(House(tmp_path)) as house:
            await house.agent_is_ready()
            assert house.dead == []

    run(main())


def test_a_lean_environment() -> None:
    given = {"PATH": "/bin", "LC_ALL": "C", "https_proxy": "p", "GRISTMILL_TOKEN": "t", "AWS": "x"}
    assert lean_environment(given) == {"PATH": "/bin", "LC_ALL": "C", "https_proxy": "p"}
