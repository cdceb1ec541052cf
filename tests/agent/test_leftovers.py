import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from gristmill.agent.cgroups import detect
from gristmill.agent.leftovers import Leftover, kill_leftovers
from gristmill.agent.processes import (
    MARKER_VARIABLE,
    Process,
    environ_marker,
    identify,
    is_alive,
    read_table,
)
from gristmill.domain.clock import Chance
from tests.agent.trees import STUBBORN, Household, await_that, living_with, read_lines

AGENT = """
import os, signal, sys
from gristmill.agent.census import members_of
from gristmill.agent.cgroups import detect
from tests.agent.trees import Household
node, grouped, *scripts = sys.argv[1:]
cgroups = detect(node)
house = Household(node).__enter__()
for number, script in enumerate(scripts, 1):
    member = house.spawn(script)
    if grouped == "yes":
        member.group = cgroups.create(f"{number}.1.0")
        member.group.adopt(lambda: [stat.process.pid for stat in members_of(member)])
print("up", flush=True)
signal.pause()
"""


@pytest.fixture
def node() -> Iterator[str]:
    name = f"test/left-{os.getpid()}"
    yield name
    detect(name).close()


def dead_agent(node: str, *scripts: str, grouped: bool = False) -> None:
    """Run an agent with these members, and kill it without warning."""
    argv = [sys.executable, "-c", AGENT, node, "yes" if grouped else "no", *scripts]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        assert read_lines(agent.stdout.fileno(), 1) == ["up"]
        agent.kill()


def kill(node: str, *, alive: bool = False) -> list[Leftover]:
    return kill_leftovers(node, lambda: alive, Chance())


def marked(node: str) -> list[Process]:
    found = read_table().stats.values()
    return [
        stat.process
        for stat in found
        if (environ_marker(stat.process.pid) or "").startswith(f"{node}/")
    ]


def test_everything_a_dead_agent_left_is_ended(node: str) -> None:
    word = f"20{os.getpid()}"
    hider = f'(setsid sh -c "{STUBBORN} echo; exec sleep {word}" &)'
    bare = f"env -i sh -c 'trap \"\" TERM; sleep {word}' &"
    dead_agent(node, f"{bare} {hider}; sleep {word} & wait", f"echo; exec sleep {word}")
    await_that(lambda: len(living_with(word)) >= 5, "five leftovers")
    left = kill(node)
    assert living_with(word) == []
    assert {one.marker for one in left} == {f"{node}/1.1.0", f"{node}/2.1.0"}
    assert all(one.ended for one in left)
    assert kill(node) == []


def test_what_hides_completely_is_found_in_its_group(node: str) -> None:
    cgroups = detect(node)
    if cgroups.kind == "none":
        pytest.skip(cgroups.note)
    word = f"21{os.getpid()}"
    waiting = f"echo; sleep 0.2; (env -i setsid sh -c 'exec sleep {word}' &); exit 0"
    dead_agent(node, waiting, grouped=True)
    await_that(
        lambda: (
            [one for one in living_with(word) if environ_marker(one.pid) is None]
            and not marked(node)
        ),
        "only the hider lives",
    )
    (left,) = kill(node)
    assert left.marker == f"{node}/1.1.0"
    assert living_with(word) == []
    assert cgroups.existing() == []


CHAIN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(flush=True)
while True:
    time.sleep(0.001)
    if os.fork(): os._exit(0)
    os.setsid()
"""


@pytest.mark.parametrize(
    "storm",
    [
        "trap '' TERM; echo; while :; do (setsid sh -c 'sleep 0.01' &); sleep 0.005; done",
        f"exec {sys.executable} -SEc '{CHAIN}'",
    ],
    ids=["broad", "chain"],
)
def test_a_storm_of_forks_is_ended(node: str, storm: str) -> None:
    dead_agent(node, storm)
    assert kill(node)
    assert marked(node) == []


def test_processes_of_other_nodes_and_of_a_living_agent_are_spared(node: str) -> None:
    with Household(f"{node}-other") as house, Household(node) as living:
        other, own = house.spawn("echo; exec sleep 1000"), living.spawn("echo; exec sleep 1000")
        assert kill(node, alive=True) == []
        assert is_alive(own.main)
        (left,) = kill(node)
        assert left.process == own.main
        assert is_alive(other.main)


def test_it_stops_when_an_agent_comes_up(node: str) -> None:
    asked = iter([False, True])
    with Household(node) as house:
        member = house.spawn("echo; exec sleep 1000")
        assert kill_leftovers(node, lambda: next(asked), Chance()) == []
        assert is_alive(member.main)


def test_the_caller_is_spared_even_when_it_stands_in_a_leftover(node: str) -> None:
    script = (
        "import sys\n"
        "from gristmill.agent.leftovers import kill_leftovers\n"
        "from gristmill.domain.clock import Chance\n"
        "print(len(kill_leftovers(sys.argv[1], lambda: False, Chance())))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, node],
        env={**os.environ, MARKER_VARIABLE: f"{node}/1.1.0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0\n"


def test_a_machine_without_leftovers_is_left_alone(node: str) -> None:
    me = identify(os.getpid())
    assert kill(node) == []
    assert me is not None
    assert is_alive(me)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
