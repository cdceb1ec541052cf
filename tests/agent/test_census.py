import os
import signal

import pytest

from gristmill.agent.census import MemberProcesses, members_of, take_census
from gristmill.agent.processes import Process, Stat, identify, own_children, read_stat
from tests.agent.trees import Household, await_that

HIDER = "(setsid sh -c 'echo; exec sleep 1000' &) ; exec sleep 1000"
BARE_HIDER = "(env -i setsid sh -c 'echo; exec sleep 1000' &) ; exec sleep 1000"


def end_main(house: Household, member: MemberProcesses) -> None:
    os.kill(member.main.pid, signal.SIGKILL)
    os.waitpid(member.main.pid, 0)


def test_a_plain_tree_belongs_to_its_member() -> None:
    with Household() as house:
        first = house.spawn("sleep 1000 & sleep 1000 & echo; wait")
        second = house.spawn("sleep 1000 & echo; wait")
        census = take_census([first, second])
        assert len(census.members[first.marker]) == 3
        assert len(census.members[second.marker]) == 2
        assert house.new(census.strays) == []
        assert len(members_of(first)) == 3
        assert len(members_of(first, thorough=True)) == 3


def test_an_orphan_in_a_session_of_its_own_is_known_by_its_marker() -> None:
    with Household() as house:
        member, other = house.spawn(HIDER), house.spawn("echo; exec sleep 1000")
        await_that(lambda: len(own_children()) >= 3, "the orphan has been inherited")
        end_main(house, member)
        for thorough in (False, True):
            census = take_census([member, other], thorough=thorough)
            assert len(census.members[member.marker]) == 1
            assert len(census.members[other.marker]) == 1
        assert len(members_of(MemberProcesses(member.marker, Process(member.main.pid, 0)))) == 1


def test_an_orphan_without_environment_is_known_from_an_earlier_look() -> None:
    script = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0: os.execve('/bin/sh', ['sh', '-c', 'echo; exec sleep 1000'], {})\n"
        "    time.sleep(1000)\n"
        "time.sleep(1000)\n"
    )
    with Household() as house:
        member = house.spawn(script, python=True)
        looked = members_of(member)
        assert len(looked) == 3
        os.kill(looked[1].process.pid, signal.SIGKILL)
        end_main(house, member)
        await_that(lambda: len(members_of(member)) == 1, "only the grandchild lives")
        assert len(members_of(member, thorough=True)) == 1


def test_an_orphan_never_seen_and_without_environment_is_a_stray() -> None:
    with Household() as house:
        member = house.spawn(BARE_HIDER)
        assert len(members_of(member)) == 1
        (stray,) = house.new(take_census([member]).strays)
        assert read_stat(stray.process.pid) is not None


def test_an_orphan_without_environment_is_known_by_its_session() -> None:
    with Household() as house:
        member = house.spawn("(env -i sh -c 'echo; exec sleep 1000' &) ; exec sleep 1000")
        end_main(house, member)
        assert len(members_of(member)) == 1


def test_a_reused_id_claims_nothing() -> None:
    with Household() as house:
        running = house.spawn("sleep 1000 & echo; wait")
        start = running.main.start
        earlier = MemberProcesses(f"{house.node}/99.1.0", Process(running.main.pid, start - 1))
        earlier.known.add(Process(running.main.pid, start - 1))
        for thorough in (False, True):
            assert members_of(earlier, thorough=thorough) == []
        assert earlier.known == set()
        assert len(members_of(running)) == 2


def test_the_agent_and_its_own_helpers_are_nobodys() -> None:
    with Household() as house:
        member = house.spawn("echo; exec sleep 1000")
        helper = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {})
        census = take_census([member])
        assert [stat.process.pid for stat in census.members[member.marker]] == [member.main.pid]
        assert [stat.process for stat in house.new(census.strays)] == [identify(helper)]


def test_a_member_without_a_process_owns_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the agent's own session began outside its namespace, its neighbours' is 0 too."""

    def from_outside(pid: int) -> Stat | None:
        stat = read_stat(pid)
        return stat and stat._replace(session=0)

    monkeypatch.setattr("gristmill.agent.census.read_stat", from_outside)
    with Household() as house:
        house.spawn("exec env -i sh -c 'echo; exec sleep 1000'")
        waiting = MemberProcesses("node/2.1.0", Process(0, 0))
        census = take_census([waiting])
        assert census.members[waiting.marker] == []
        assert len(house.new(census.strays)) == 1
