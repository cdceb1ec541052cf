import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.agent import hierarchies
from gristmill.agent.census import MemberProcesses, members_of
from gristmill.agent.cgroups import (
    NO_GROUP,
    Cgroups,
    MemberGroup,
    detect,
    node_folder,
    remove_folder,
)
from gristmill.agent.hierarchies import (
    SELF_FOLDER,
    Hierarchy,
    Mount,
    find_hierarchies,
    read_mounts,
    read_own_paths,
)
from gristmill.agent.processes import control_groups, is_alive, read_file
from tests.agent.trees import Household, await_that

FOUND = find_hierarchies()
V1 = find_hierarchies([mount for mount in read_mounts() if mount.version == 1])
V2 = find_hierarchies([mount for mount in read_mounts() if mount.version == 2])
OFFERS = {"found": FOUND, "v1": V1, "v2": V2}


@pytest.fixture(params=sorted(OFFERS))
def cgroups(request: pytest.FixtureRequest) -> Iterator[Cgroups]:
    offered = Cgroups(f"test/{os.getpid()} {request.param}", OFFERS[request.param])
    if offered.kind == "none":
        pytest.skip(offered.note)
    yield offered
    offered.close()


def adopt(group: MemberGroup, member: MemberProcesses) -> bool:
    return group.adopt(lambda: [stat.process.pid for stat in members_of(member)])


def test_a_whole_tree_moves_in_and_its_children_are_born_there(
    cgroups: Cgroups, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    pause = f"until [ -e {go} ]; do sleep 0.01; done"
    with Household() as house:
        member = house.spawn(f"sleep 1000 & echo; {pause}; sleep 1000 & wait")
        group = cgroups.create("1.1.0")
        assert adopt(group, member)
        assert len(group.processes()) >= 2
        assert any("/1.1.0" in path for path in control_groups(member.main.pid))
        go.touch()
        await_that(
            lambda: len(members_of(member)) == len(group.processes()) == 3, "a child is born inside"
        )
        assert not group.remove()
        member.group = group
        assert group.kill()
        await_that(lambda: not members_of(member), "all are dead")
        house.reap()
        await_that(group.remove, "the group is empty")
        assert not group.processes()


@pytest.mark.skipif("tree" not in FOUND, reason="no v2 hierarchy can be written here")
def test_a_kernel_that_cannot_kill_a_group_freezes_it_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without_kill(path: str, text: str) -> bool:
        return not path.endswith("cgroup.kill") and hierarchies.try_write(path, text)

    monkeypatch.setattr("gristmill.agent.cgroups.try_write", without_kill)
    offered = Cgroups(f"test-{os.getpid()}-freeze", FOUND)
    with Household() as house:
        member = house.spawn("trap '' TERM; sleep 1000 & echo; wait")
        group = offered.create("1.1.0")
        assert adopt(group, member)
        assert group.kill()
        await_that(lambda: not members_of(member), "all are dead")
        house.reap()
        await_that(group.remove, "the group is empty")
    offered.close()


@pytest.fixture
def handed_over() -> Iterator[str]:
    """Make a v2 group that has a controller to hand on; the only one a hybrid machine has."""
    tree = FOUND.get("tree")
    if tree is None or not hierarchies.offers(tree.base, "hugetlb"):
        pytest.skip("no v2 controller to try this with")
    switch = f"{tree.base}/cgroup.subtree_control"
    was_on = b"hugetlb" in read_file(switch)
    if not hierarchies.try_write(switch, "+hugetlb"):
        pytest.skip("the v2 hierarchy's own settings cannot be written here")
    group = f"{tree.base}/gristmill-test-{os.getpid()}-handed-over"
    os.makedirs(group)
    yield group
    assert remove_folder(group)
    if not was_on:
        hierarchies.try_write(switch, "-hugetlb")


def test_limits_in_v2_need_a_subtree_that_is_ours(handed_over: str) -> None:
    with Household() as house:
        member = house.spawn("echo; exec sleep 1000")
        hierarchies.write(f"{handed_over}/cgroup.procs", str(member.main.pid))
        assert not hierarchies.enable(handed_over, "hugetlb")
        os.setxattr(handed_over, "user.delegate", b"1")
        assert hierarchies.enable(handed_over, "hugetlb")
        assert any(path.endswith(f"/{SELF_FOLDER}") for path in control_groups(member.main.pid))
        assert not hierarchies.enable(handed_over, "nonsense")


def test_what_was_used_is_counted(cgroups: Cgroups) -> None:
    with Household() as house:
        member = house.spawn("echo; while :; do :; done")
        group = cgroups.create("1.1.0")
        assert adopt(group, member)
        await_that(lambda: (group.cpu_seconds() or 0) > 0.05, "CPU time grows")
        assert group.peak_memory_mb() is None
        assert not group.out_of_memory()
        assert not group.limits_memory
        group.kill()
        await_that(lambda: not is_alive(member.main), "it is dead")
        house.reap()
        await_that(group.remove, "the group is empty")


def test_the_kernel_ends_a_member_over_its_memory(cgroups: Cgroups) -> None:
    group = cgroups.create("1.1.0", memory_mb=64)
    if not group.limits_memory:
        assert group.remove()
        pytest.skip("no memory controller here")
    hog = (
        "import signal, time\n"
        "def eat(*_): kept = [b'x' * (1 << 20) for _ in range(300)]\n"
        "signal.signal(signal.SIGUSR1, eat)\n"
        "print(flush=True)\n"
        "while True: time.sleep(0.01)\n"
    )
    with Household() as house:
        member = house.spawn(hog, python=True)
        assert adopt(group, member)
        os.kill(member.main.pid, signal.SIGUSR1)
        _, status = os.waitpid(member.main.pid, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        assert group.out_of_memory()
        peak = group.peak_memory_mb()
        assert peak is not None
        assert 50 <= peak <= 65
        await_that(group.remove, "the group is empty")


def test_cores_are_limited_only_when_asked(cgroups: Cgroups) -> None:
    with Household() as house:
        member = house.spawn("echo; while :; do :; done")
        group = cgroups.create("1.1.0", cpus=0.05)
        assert adopt(group, member)
        assert cgroups.kind != "none"
        group.kill()
        await_that(lambda: not is_alive(member.main), "it is dead")
        house.reap()
        await_that(group.remove, "the group is empty")


def test_groups_inside_a_members_group_go_with_it(cgroups: Cgroups) -> None:
    group = cgroups.create("1.1.0")
    (again,) = cgroups.existing()
    assert again.processes() == []
    for folder in set(group._folders.values()):
        os.makedirs(f"{folder}/inner/most")
    cgroups.clean()
    assert cgroups.existing() == []


def test_a_dead_process_is_no_reason_to_give_up(cgroups: Cgroups) -> None:
    group = cgroups.create("1.1.0")
    assert group.adopt(lambda: [2**22 - 1])
    assert group.remove()
    assert not group.adopt(lambda: [os.getpid()])
    assert cgroups.kind != "none"


def test_a_failure_turns_groups_off_with_a_note(tmp_path: Path) -> None:
    base = os.path.join(tmp_path, "hierarchy")
    os.makedirs(f"{base}/{node_folder('n')}")
    with open(f"{base}/{node_folder('n')}/cgroup.procs", "w"):
        pass
    offered = Cgroups("n", {"freezer": Hierarchy(base, 1), "memory": Hierarchy(base, 1)})
    kinds = [offered.kind]
    assert not offered.create("1.1.0", memory_mb=5).limits_memory
    assert [*kinds, offered.kind] == ["v1", "none"]
    assert "memory.limit_in_bytes" in offered.note
    assert offered.create("2.1.0") is NO_GROUP


def test_without_cgroups_every_act_does_nothing() -> None:
    offered = Cgroups("n", {})
    assert offered.kind == "none"
    group = offered.create("1.1.0", memory_mb=100, cpus=1.0)
    assert not group.adopt(lambda: [os.getpid()])
    assert group.processes() == []
    assert not group.kill()
    assert group.peak_memory_mb() is None
    assert group.cpu_seconds() is None
    assert not group.out_of_memory()
    assert group.remove()
    offered.close()


def test_detection_says_what_it_found() -> None:
    offered = detect(f"test-{os.getpid()}-detect")
    assert offered.note.startswith("cgroups ")
    offered.close()


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_nodes_never_share_a_folder(first: str, second: str) -> None:
    names = [node_folder(first), node_folder(second)]
    assert (names[0] == names[1]) == (first == second)
    for name in names:
        assert "/" not in name
        assert len(name) < 256
        assert name != SELF_FOLDER


def test_a_hierarchy_mounted_in_part_is_found_below_its_root(tmp_path: Path) -> None:
    top = str(tmp_path)
    os.makedirs(f"{top}/me")
    mount = Mount(top, "/docker/1", 1, frozenset({"memory"}))
    found = find_hierarchies([mount], {"memory": "/docker/1/me"})
    assert found["memory"].base == f"{top}/me"
    assert find_hierarchies([mount], {"memory": "/elsewhere"}) == {}
    assert find_hierarchies([mount], {"memory": "/docker/1/../2"}) == {}
    assert find_hierarchies([mount], {}) == {}
    stepped = find_hierarchies([mount], {"memory": f"/docker/1/me/{SELF_FOLDER}"})
    assert stepped["memory"].base == f"{top}/me"


def test_the_kernels_lists_are_understood() -> None:
    assert {mount.version for mount in read_mounts()} <= {1, 2}
    assert all(path.startswith("/") for path in read_own_paths().values())
