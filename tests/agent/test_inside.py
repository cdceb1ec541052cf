"""Commands in running jobs: beside the job's own processes, as the job sees them."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gristmill.agent.container_process import find_first
from gristmill.agent.inside import Inside
from gristmill.agent.member import Member
from gristmill.agent.mpi import launcher
from gristmill.agent.processes import all_pids, control_groups, read_file
from gristmill.containers.engines import PROGRAMS, detect
from gristmill.containers.run import ContainerEngine, Entry
from gristmill.domain.job import JobSpec, Task
from gristmill.protocol.messages import Order, OrderResult
from tests.agent.workshop import LocalQuestions, Workshop
from tests.containers.conftest import needs_root
from tests.containers.nobody import as_nobody
from tests.containers.rootfs import busybox_rootfs

IMAGE = "bb"


class Answers(LocalQuestions):
    """Keeps what came of orders."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: asyncio.Queue[OrderResult] = asyncio.Queue()

    async def answer(self, request: int, result: OrderResult) -> None:
        self.queue.put_nowait(result)


class Room:
    """One workshop in which a job runs, and a way into the job."""

    def __init__(self, workshop: Workshop, answers: Answers) -> None:
        self.workshop, self._answers = workshop, answers
        self._inside = Inside(
            runner=workshop.runner,
            runtimes=workshop.runtimes,
            helpers=workshop.helpers,
            sandboxes=workshop.sandboxes,
            questions=answers,
        )
        self._orders = 0
        self.member: Member

    async def run(self, spec: JobSpec, said: str = "go\n") -> None:
        """Start a job; return once it has said what it is to say."""
        runner = self.workshop.runner
        lease = self.workshop.lease(spec)
        runner.accept([lease])
        self.member = runner.running[lease.job, 1, 0]
        await self.workshop.poll(lambda: self.stdout() == said)

    def stdout(self) -> str:
        slot = self.member.slot
        return "" if slot is None else slot.stdout.read(0, 1 << 16).decode()

    async def order(self, *words: str, limit: float = 30.0) -> OrderResult:
        """Have a command run in the job; return what came of it."""
        self._orders += 1
        order = Order(self._orders, self.member.lease.job, 1, list(words), limit)
        self._inside.obey(order)
        return await self._answers.queue.get()

    async def say(self, *words: str) -> str:
        """Return what a command says that ends well."""
        result = await self.order(*words)
        assert (result.code, result.error) == (0, ""), result
        return result.output.decode()

    async def end(self) -> None:
        """End the job."""
        runner = self.workshop.runner
        runner.kill(self.member.key)
        await self.workshop.until(lambda: not runner.running)


Story = Callable[[Room], Awaitable[None]]


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    return busybox_rootfs(tmp_path / "rootfs")


def enter(tmp_path: Path, rootfs: Path, name: str, story: Story) -> None:
    """Tell a story in a workshop with an engine, or with none for ``host``."""
    engine: ContainerEngine | None = None
    if name != "host":
        engine = detect(name)
        if engine is None:
            pytest.skip(f"{name} does not work here")

    async def go() -> None:
        answers = Answers()
        workshop = Workshop(
            tmp_path, engine=engine, on_host=engine is None, grace=0.2, questions=answers
        )
        workshop.images.add(IMAGE, rootfs)
        async with workshop:
            await story(Room(workshop, answers))

    asyncio.run(go())


def task(text: str, **fields: Any) -> Task:
    return Task(argv=("/bin/sh", "-c", text), image=IMAGE, **fields)


def job(*tasks: Task, **fields: Any) -> JobSpec:
    return JobSpec(tasks=tasks, sandbox=True, **fields)


LOOK = "env | /bin/busybox sort; id; /bin/busybox hostname; pwd; ulimit -n"
RIGHTS = "/bin/busybox grep -E 'Cap(Inh|Prm|Eff|Amb)|NoNew|^Groups' /proc/self/status"


@pytest.mark.parametrize("name", [*PROGRAMS, "host"])
def test_a_command_sees_what_the_job_sees(name: str, tmp_path: Path, rootfs: Path) -> None:
    async def story(room: Room) -> None:
        facts = {"MY_JOB": "{job}", "MY_TASK": "{task}", "MY_TOKEN": "{token}"}
        first = task("true")
        main = task(
            f"({LOOK}) > seen; ({RIGHTS}) > rights; echo kept > /tmp/kept; echo go; "
            "exec sleep 43210",
            env={"MINE": "mine"},
        )
        await room.run(job(first, main, facts=facts, env={"OURS": "ours"}))
        assert "sleep 43210" in await room.say("/bin/busybox", "ps", "-o", "args")
        mine = await room.say("/bin/sh", "-c", LOOK)
        # A shell's count of itself, the command's own mark, and the name podman gives to hosts.
        differ = ("SHLVL=", "GRISTMILL_COMMAND=", "HOSTNAME=")
        own, seen = (
            [line for line in said.splitlines() if not line.startswith(differ)]
            for said in (mine, await room.say("cat", "seen"))
        )
        assert own == seen
        assert "MY_TASK=1" in own
        assert await room.say("/bin/sh", "-c", RIGHTS) == await room.say("cat", "rights")
        assert await room.say("cat", "/tmp/kept" if name != "host" else "seen")

    enter(tmp_path, rootfs, name, story)


@pytest.mark.parametrize("name", PROGRAMS)
def test_files_that_the_job_has_open_are_there(name: str, tmp_path: Path, rootfs: Path) -> None:
    async def story(room: Room) -> None:
        text = "echo lost > gone; exec 7< gone; /bin/busybox rm gone; echo go; exec sleep 43211"
        await room.run(job(task(text)))
        look = "for p in /proc/[0-9]*; do test $(cat $p/cmdline) = sleep43211 && cat $p/fd/7; done"
        assert await room.say("/bin/sh", "-c", f"{look} 2>/dev/null; true") == "lost\n"

    enter(tmp_path, rootfs, name, story)


@pytest.mark.parametrize("name", ["bubblewrap", "crun", "runc", "podman"])
def test_what_only_the_container_has_is_there(name: str, tmp_path: Path, rootfs: Path) -> None:
    own = f"/dev/shm/own-{os.getpid()}"

    async def story(room: Room) -> None:
        await room.run(job(task(f"echo own > {own}; echo go; exec sleep 43212")))
        assert not Path(own).exists()  # noqa: ASYNC240 - in memory
        assert await room.say("cat", own) == "own\n"

    enter(tmp_path, rootfs, name, story)


@pytest.mark.parametrize("name", ["bubblewrap", "podman", "docker", "host"])
def test_a_command_that_takes_too_long_is_ended(name: str, tmp_path: Path, rootfs: Path) -> None:
    async def story(room: Room) -> None:
        await room.run(job(task("echo go; exec sleep 43213")))
        text = "echo some; /bin/busybox setsid sleep 43214 & sleep 43215"
        slow = await room.order("/bin/sh", "-c", text, limit=1.5)
        assert (slow.code, slow.output) == (None, b"some\n")
        await room.workshop.poll(lambda: not _run("43214", "43215"))
        assert _run("43213")

    enter(tmp_path, rootfs, name, story)


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "proot"])
def test_what_a_command_left_ends_with_the_job(name: str, tmp_path: Path, rootfs: Path) -> None:
    async def story(room: Room) -> None:
        await room.run(job(task("echo go; exec sleep 43216")))
        left = "/bin/busybox setsid sleep 43217 > /dev/null 2>&1 &"
        assert await room.say("/bin/sh", "-c", left) == ""
        await room.workshop.poll(lambda: bool(_run("43217")))
        await room.end()
        assert not _run("43216", "43217")

    enter(tmp_path, rootfs, name, story)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_command_is_ended_with_the_job(name: str, tmp_path: Path, rootfs: Path) -> None:
    async def story(room: Room) -> None:
        await room.run(job(task("echo go; while ! test -e over; do sleep 0.05; done")))
        order = asyncio.create_task(room.order("/bin/sh", "-c", "touch over; exec sleep 43218"))
        await room.workshop.until(lambda: not room.workshop.runner.running)
        result = await order
        assert result.code != 0
        assert not _run("43218")

    enter(tmp_path, rootfs, name, story)


def test_a_command_is_in_the_control_group_of_its_job(tmp_path: Path, rootfs: Path) -> None:
    async def story(room: Room) -> None:
        if room.workshop.cgroups.kind == "none":
            pytest.skip("cgroups cannot be written here")
        await room.run(job(task("echo go; exec sleep 43219")))
        await room.workshop.poll(lambda: room.member.watched != 0)
        assert await room.say("/bin/sh", "-c", "/bin/busybox setsid sleep 43220 >&- 2>&- &") == ""
        await room.workshop.poll(lambda: bool(_run("43220")))
        (ours,), (theirs,) = _run("43220"), _run("43219")
        assert control_groups(ours) == control_groups(theirs)
        assert any("workshop" in path for path in control_groups(ours))

    enter(tmp_path, rootfs, "bubblewrap", story)


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_cannot_be_run(name: str, tmp_path: Path, rootfs: Path) -> None:
    async def story(room: Room) -> None:
        await room.run(job(task("echo go; exec sleep 43221")))
        missing = await room.order("no-such-program")
        assert missing.code not in {0, None}
        assert missing.output
        assert (await room.order("/bin/sh", "-c", "exit 7")).code == 7
        assert (await room.order("/bin/sh", "-c", "kill -9 $$")).code not in {0, None}

    enter(tmp_path, rootfs, name, story)


@pytest.mark.parametrize("name", ["bubblewrap", "charliecloud"])
def test_a_command_joins_a_rank_of_an_mpi_task(name: str, tmp_path: Path, rootfs: Path) -> None:
    if launcher("openmpi") is None:
        pytest.skip("Open MPI is not installed (run scripts/system-packages)")

    async def story(room: Room) -> None:
        ranks = task("echo go; exec sleep 43222", kind="openmpi", processes=2)
        await room.run(job(ranks), "go\ngo\n")
        said = await room.say("/bin/busybox", "ps", "-o", "args")
        assert said.splitlines().count("sleep 43222") == 2
        assert await room.say("/bin/sh", "-c", "echo $OMPI_COMM_WORLD_SIZE") == "2\n"
        assert await room.say("pwd") == "/home/user\n"

    enter(tmp_path, rootfs, name, story)


def test_a_job_cannot_reach_whoever_brings_a_command_in(tmp_path: Path, rootfs: Path) -> None:
    """What it could trace, or write to, would be a process of the node with the node's rights."""

    async def story(room: Room) -> None:
        spy = (
            "while ! test -e over; do for p in /proc/[0-9]*; do "
            "/bin/busybox readlink $p/exe >> exes 2> /dev/null; ls $p/fd >> exes 2> /dev/null; "
            "cat $p/environ >> exes 2> /dev/null; done; done"
        )
        await room.run(job(task(f"echo go; {spy}")))
        for _ in range(15):
            await room.say("true")
        await room.say("touch", "over")
        seen = room.workshop.home / "sandboxes" / "1.1.0" / "home" / "exes"
        said = seen.read_bytes()
        assert b"/bin/busybox" in said
        assert b"python" not in said
        assert b"PYTEST_CURRENT_TEST" not in said

    enter(tmp_path, rootfs, "bubblewrap", story)


@needs_root
def test_a_container_with_more_rights_is_not_joined() -> None:
    """Such as that of an engine which is installed set-user-id."""
    top, program = os.getpid(), os.path.realpath("/bin/sh")

    def work() -> None:
        with pytest.raises(PermissionError, match="may not join the container"):
            find_first(Entry([], {}, "container", program), top)

    as_nobody(work)


def test_between_tasks_there_is_no_container(tmp_path: Path, rootfs: Path) -> None:
    async def story(room: Room) -> None:
        await room.run(job(task("echo go; while ! test -e over; do sleep 0.05; done")))
        room.member.stage = asyncio.create_task(asyncio.Event().wait())  # type: ignore[arg-type]
        result = await room.order("true")
        assert (result.absent, result.error) == (True, "no task of it runs just now")
        room.member.stage.cancel()
        room.member.stage = None
        await room.end()
        assert (await room.order("true")).absent

    enter(tmp_path, rootfs, "bubblewrap", story)


def _run(*seconds: str) -> list[int]:
    """Return the processes that sleep so long and nothing else."""
    wanted, found = [b"sleep\0%s\0" % each.encode() for each in seconds], []
    for pid in all_pids():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += [pid] if read_file(f"/proc/{pid}/cmdline") in wanted else []
    return found
