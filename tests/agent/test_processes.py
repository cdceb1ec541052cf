import os
import platform
import re
import signal
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.agent.processes import (
    MARKER_VARIABLE,
    Process,
    boot_id,
    children_of,
    control_groups,
    descendants,
    environ_marker,
    identify,
    is_alive,
    is_namespace_init,
    own_children,
    process_start,
    read_file,
    read_stat,
    read_table,
    session_members,
)
from tests.agent.trees import Household, await_that

EXIT_SYSCALL = {"x86_64": 60, "aarch64": 93}.get(platform.machine())


def test_a_process_is_its_id_and_its_start() -> None:
    me = identify(os.getpid())
    assert me is not None
    assert is_alive(me)
    assert not is_alive(Process(me.pid, me.start + 1))
    assert process_start(me.pid) == me.start
    stat = read_stat(me.pid)
    assert stat is not None
    assert (stat.parent, stat.group, stat.session) == (os.getppid(), os.getpgrp(), os.getsid(0))
    assert stat.resident_pages > 100


@given(pid=st.integers(min_value=2**22 + 1, max_value=2**40))
def test_a_process_that_is_not_there_is_none(pid: int) -> None:
    assert read_stat(pid) is None
    assert process_start(pid) is None
    assert environ_marker(pid) is None
    assert children_of(pid) == []
    assert list(descendants(pid)) == []
    assert control_groups(pid) == []
    assert not is_namespace_init(pid)


@pytest.mark.parametrize("name", ["a) Z 1 (b", ") R 1", "((", "a b"])
def test_names_cannot_confuse_the_table(name: str) -> None:
    script = f"import time; open('/proc/self/comm','w').write({name!r}); print(flush=True)\n"
    with Household() as house:
        member = house.spawn(script + "time.sleep(1000)", python=True)
        stat = read_stat(member.main.pid)
        assert stat is not None
        assert stat.parent == os.getpid()
        assert stat.session == member.main.pid


def test_a_zombie_is_dead() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    try:
        await_that(lambda: b") Z " in read_file(f"/proc/{pid}/stat"), "the child has ended")
        assert read_stat(pid) is None
        assert pid in own_children()
        assert pid not in read_table().stats
    finally:
        os.waitpid(pid, 0)


@pytest.mark.skipif(EXIT_SYSCALL is None, reason="number of the exit call unknown here")
def test_a_process_lives_on_after_its_first_thread() -> None:
    script = (
        "import ctypes, os, threading, time\n"
        "def work():\n"
        "    while b') Z ' not in open(f'/proc/{os.getpid()}/stat', 'rb').read():\n"
        "        time.sleep(0.002)\n"
        "    os.posix_spawn('/bin/sleep', ['sleep', '1000'], {})\n"
        "    print(flush=True)\n"
        "    time.sleep(1000)\n"
        "threading.Thread(target=work).start()\n"
        f"ctypes.CDLL(None).syscall({EXIT_SYSCALL}, 0)\n"
    )
    with Household() as house:
        member = house.spawn(script, python=True)
        stat = read_stat(member.main.pid)
        assert stat is not None
        assert stat.state == "Z"
        assert len(list(descendants(member.main.pid))) == 1


def test_a_deep_tree_is_walked_parents_first() -> None:
    script = (
        "import os, sys, time\n"
        "for _ in range(30):\n"
        "    if os.fork(): time.sleep(1000)\n"
        "print(flush=True); time.sleep(1000)\n"
    )
    with Household() as house:
        member = house.spawn(script, python=True)
        walked = list(descendants(member.main.pid))
        assert len(walked) == 30
        pids = [member.main.pid, *(stat.process.pid for stat in walked)]
        assert all(stat.parent in pids[:place] for place, stat in enumerate(walked, 1))
        table = read_table()
        in_table = [stat.process for stat in descendants(member.main.pid, table)]
        assert in_table == [stat.process for stat in walked]
        session = {stat.process.pid for stat in session_members(member.main.pid, table)}
        assert session == set(pids)


def test_children_of_every_thread_are_found() -> None:
    script = (
        "import os, threading, time\n"
        "def work():\n"
        "    os.posix_spawn('/bin/sleep', ['sleep', '1000'], {})\n"
        "    print(flush=True); time.sleep(1000)\n"
        "for _ in range(3): threading.Thread(target=work).start()\n"
    )
    with Household() as house:
        member = house.spawn(script, python=True, wait_for=3)
        assert len(list(descendants(member.main.pid))) == 3


def test_the_marker_is_read_from_any_place_in_a_large_environment() -> None:
    with Household() as house:
        member = house.spawn("echo; sleep 1000")
        assert environ_marker(member.main.pid) == member.marker
    assert environ_marker(os.getpid()) == os.environ.get(MARKER_VARIABLE)
    variables = {f"V{number}": "x" * 1000 for number in range(200)}
    variables[MARKER_VARIABLE] = "node/1.1.0"
    pid = os.posix_spawn(sys.executable, [sys.executable, "-Sc", "input()"], variables)
    try:
        await_that(lambda: environ_marker(pid) == "node/1.1.0", "the marker shows")
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_the_marker_shows_from_the_first_moment() -> None:
    """The kernel lets a spawner go on before the new program's environment is in place."""
    for _ in range(100):
        pid = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {MARKER_VARIABLE: "node/1.1.0"})
        try:
            assert environ_marker(pid) == "node/1.1.0"
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_the_boot_has_an_id() -> None:
    assert re.fullmatch(r"[0-9a-f-]{36}", boot_id())
