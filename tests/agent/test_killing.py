import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gristmill.agent.census import MemberProcesses, members_of
from gristmill.agent.cgroups import Cgroups
from gristmill.agent.hierarchies import find_hierarchies
from gristmill.agent.killing import end, send
from gristmill.agent.processes import Process, identify, is_alive
from gristmill.domain.clock import Chance
from tests.agent.trees import STUBBORN, Household, await_that, living_with

WRAPPER = shutil.which("bwrap")
LONG = 20.0


def finish(member: MemberProcesses, grace: float = 0.05) -> tuple[Process, ...]:
    return asyncio.run(end(member, grace, Chance()))


def test_a_willing_tree_ends_within_its_grace(tmp_path: Path) -> None:
    farewell = os.path.join(tmp_path, "farewell")
    script = f"trap 'echo > {farewell}; exit 7' TERM; sh -c 'echo; exec sleep 1000' & wait"
    with Household() as house:
        member = house.spawn(script)
        began = time.monotonic()
        assert finish(member, LONG) == ()
        assert time.monotonic() - began < LONG / 2
        assert os.path.exists(farewell)
        _, status = os.waitpid(member.main.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 7
        assert members_of(member, thorough=True) == []


def test_term_is_sent_once(tmp_path: Path) -> None:
    script = "trap 'echo >> $COUNT; sleep 0.2; exit' TERM; echo; while :; do sleep 0.01; done"
    with Household() as house:
        path = os.path.join(tmp_path, "count")
        member = house.spawn(script.replace("$COUNT", path))
        assert finish(member, LONG) == ()
        with open(path) as lines:
            assert len(lines.readlines()) == 1


def test_a_stopped_tree_still_hears_the_question() -> None:
    with Household() as house:
        member = house.spawn("echo; exec sleep 1000")
        os.kill(member.main.pid, signal.SIGSTOP)
        assert finish(member, LONG) == ()
        _, status = os.waitpid(member.main.pid, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM


@pytest.mark.parametrize("grace", [0.0, 0.05])
def test_a_stubborn_tree_of_hiders_is_ended(grace: float) -> None:
    hider = f'(setsid sh -c "{STUBBORN} echo; exec sleep 1000" &)'
    script = f"{STUBBORN} {hider}; {hider}; sleep 1000 & echo; wait"
    with Household() as house:
        member, other = house.spawn(script, wait_for=3), house.spawn("echo; exec sleep 1000")
        assert len(members_of(member)) == 4
        assert finish(member, grace) == ()
        assert members_of(member, thorough=True) == []
        assert is_alive(other.main)


def test_a_hider_without_environment_that_was_seen_is_ended() -> None:
    bare = "(env -i setsid sh -c 'trap \"\" TERM; echo; sleep 0.3; exec sleep 1000' & sleep 0.2)"
    with Household() as house:
        member = house.spawn(f"{STUBBORN} {bare}; exit 3")
        seen = members_of(member)
        assert len(seen) > 2
        os.waitpid(member.main.pid, 0)
        assert len(members_of(member)) >= 1
        assert finish(member) == ()
        assert not any(is_alive(stat.process) for stat in seen)


def test_a_hundred_processes_are_ended() -> None:
    script = f"{STUBBORN} for i in $(seq 100); do sleep 1000 & done; echo; wait"
    with Household() as house:
        member = house.spawn(script)
        assert len(members_of(member)) == 101
        assert finish(member) == ()
        assert members_of(member, thorough=True) == []


STORMS = {
    "chain": "import os, time\nprint(flush=True)\nwhile not os.fork(): pass\n",
    "sessions": (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(flush=True)\n"
        "while True:\n"
        "    time.sleep(0.001)\n"
        "    if os.fork(): os._exit(0)\n"
        "    os.setsid()\n"
    ),
    "broad": (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "print(flush=True)\n"
        "for _ in range(4): os.fork()\n"
        "while True:\n"
        "    if not os.fork():\n"
        "        os.setsid(); time.sleep(0.05); os._exit(0)\n"
        "    time.sleep(0.005)\n"
    ),
}


@pytest.mark.parametrize("storm", STORMS)
def test_a_tree_that_forks_all_the_time_is_ended(storm: str) -> None:
    with Household() as house:
        member = house.spawn(STORMS[storm], python=True)
        assert finish(member) == ()
        house.reap()
        assert members_of(member, thorough=True) == []


def test_a_group_ends_what_nothing_else_would_find() -> None:
    cgroups = Cgroups(f"test-{os.getpid()}", find_hierarchies())
    if cgroups.kind == "none":
        pytest.skip("cgroups cannot be written here")
    with Household() as house:
        member = house.spawn("echo; exec sleep 1000")
        member.group = cgroups.create("2.1.0")
        try:
            assert member.group.adopt(lambda: [stat.process.pid for stat in members_of(member)])
            hidden = subprocess.Popen(["/bin/sleep", "1000"], env={}, start_new_session=True)
            assert member.group.adopt(lambda: [hidden.pid])
            assert {stat.process.pid for stat in members_of(member)} == {
                member.main.pid,
                hidden.pid,
            }
            assert finish(member) == ()
            assert hidden.wait() in (-signal.SIGTERM, -signal.SIGKILL)
            house.reap()
            assert member.group.remove()
        finally:
            cgroups.close()


@pytest.mark.skipif(WRAPPER is None, reason="bubblewrap is not installed")
def test_processes_of_a_container_get_their_grace_and_their_end() -> None:
    word = f"10{os.getpid()}"
    inside = f"trap 'exit 0' TERM; (setsid sleep {word} &) ; echo; while :; do sleep 0.01; done"
    wrap = ["exec", WRAPPER or "", "--dev-bind", "/", "/", "--proc", "/proc", "--unshare-pid"]
    with Household() as house:
        member = house.spawn(" ".join([*wrap, "--die-with-parent", "sh", "-c", f'"{inside}"']))
        assert len(members_of(member)) >= 3
        assert finish(member, LONG) == ()
        _, status = os.waitpid(member.main.pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert living_with(word) == []
        stubborn = house.spawn(
            " ".join([*wrap, "sh", "-c", f"\"trap '' TERM; sleep {word} & echo; wait\""])
        )
        assert finish(stubborn) == ()
        assert living_with(word) == []


def test_a_reused_id_and_the_agent_itself_are_never_signalled() -> None:
    with Household() as house:
        member = house.spawn("echo; exec sleep 1000")
        assert send(Process(member.main.pid, member.main.start - 1), signal.SIGKILL)
        assert is_alive(member.main)
        me = identify(os.getpid())
        assert me is not None
        assert not send(me, signal.SIGKILL)
        assert send(Process(2**22 + 5, 1), signal.SIGKILL)


def test_a_tree_that_is_gone_needs_no_ending() -> None:
    with Household() as house:
        member = house.spawn("echo")
        await_that(lambda: not members_of(member), "it ends by itself")
        assert finish(member, LONG) == ()


AS_NOBODY = """
import asyncio, os
from gristmill.agent.census import MemberProcesses, members_of
from gristmill.agent.cgroups import detect
from gristmill.agent.killing import end
from gristmill.agent.leftovers import kill_leftovers
from gristmill.agent.processes import identify
from gristmill.agent.usage import Sampler
from gristmill.domain.clock import Chance
from tests.agent.trees import STUBBORN, Household

async def nothing(): pass
asyncio.run(nothing())
quiet = [(os.POSIX_SPAWN_CLOSE, 1), (os.POSIX_SPAWN_CLOSE, 2)]
roots = identify(os.posix_spawn("/bin/sleep", ["sleep", "1000"], {}, file_actions=quiet))
os.setgroups([]); os.setgid(65534); os.setuid(65534); os.chdir("/")
hider = f'(setsid sh -c "{STUBBORN} echo; exec sleep 1000" &)'
with Household("nobody's") as house:
    cgroups = detect(house.node)
    assert cgroups.kind == "none", cgroups.note
    member = house.spawn(f"{STUBBORN} {hider}; {hider}; sleep 1000 & echo; wait", wait_for=3)
    member.group = cgroups.create("1.1.0", 64)
    assert not member.group.adopt(lambda: [member.main.pid])
    usage = Sampler(Chance()).sample([member])[member.marker]
    assert usage.processes == 4, usage
    assert usage.memory_mb > 0
    assert asyncio.run(end(member, 0.05, Chance())) == ()
    assert members_of(member, thorough=True) == []
    left = house.spawn(f"{STUBBORN} echo; exec sleep 1000")
    found = kill_leftovers(house.node, lambda: False, Chance())
    assert [(one.process, one.ended) for one in found] == [(left.main, True)], found
    alien = MemberProcesses(house.marker(), roots)
    assert asyncio.run(end(alien, 0.01, Chance())) == (roots,)
print(roots.pid)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_can_do_it_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY],
        capture_output=True,
        text=True,
        check=False,
        # Other tests of this process may have left another folder as the current one.
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    os.kill(int(done.stdout), signal.SIGKILL)
