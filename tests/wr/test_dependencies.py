"""Dependency groups, which are live: who joins one makes those that wait for it wait again."""

import time
from pathlib import Path

import pytest

from tests.wr.talk import Job, Wr


def _states(found: list[Job]) -> dict[str, str]:
    return {job["Cmd"]: job["State"] for job in found}


def _all(state: str, found: list[Job]) -> bool:
    return {job["State"] for job in found} == {state}


def test_order_in_a_request_does_not_matter(wr: Wr, folder: Path) -> None:
    log = folder / "log"
    child, parent = wr.add(
        {"cmd": f"echo child >> {log}", "deps": ["p"], "rep_grp": "pair"},
        {"cmd": f"echo parent >> {log}", "dep_grps": ["p"], "rep_grp": "pair"},
    )
    assert child["State"] == "dependent"
    assert parent["State"] == "ready"
    wr.wait("pair", lambda found: _all("complete", found))
    assert log.read_text() == "parent\nchild\n"


def test_a_group_without_live_members_is_satisfied(wr: Wr) -> None:
    (added,) = wr.add({"cmd": "echo nobody", "deps": ["nobody-is-here"]})
    assert added["State"] == "ready"
    wr.wait_for(added["Key"], "complete")


def test_a_buried_parent_holds_its_children(wr: Wr) -> None:
    parent, child = wr.add(
        {"cmd": "false # holds", "dep_grps": ["held"]}, {"cmd": "echo held", "deps": ["held"]}
    )
    wr.wait_for(parent["Key"], "buried")
    assert wr.job(child["Key"])["State"] == "dependent"
    assert wr.end("deletable", parent["Key"]) == []
    ended = wr.end("deletable", parent["Key"], child["Key"])
    assert _states(ended) == {"false # holds": "deleted", "echo held": "deleted"}


def test_deleting_the_parent_that_was_fixed(wr: Wr) -> None:
    (child,) = wr.add({"cmd": "echo freed", "deps": ["fixed"], "dep_grps": ["later"]})
    wr.wait_for(child["Key"], "complete")
    (parent,) = wr.add({"cmd": "echo fixing", "dep_grps": ["fixed"]})
    wr.wait_for(parent["Key"], "complete")
    wr.wait_for(child["Key"], "complete")


def test_complete_dependents_come_back(wr: Wr, folder: Path) -> None:
    log = folder / "log"
    chain = [
        {"cmd": f"echo a >> {log}", "dep_grps": ["A"], "rep_grp": "chain"},
        {"cmd": f"echo b >> {log}", "deps": ["A"], "dep_grps": ["B"], "rep_grp": "chain"},
        {"cmd": f"echo c >> {log}", "deps": ["B"], "rep_grp": "chain"},
    ]
    wr.add(*chain)
    wr.wait("chain", lambda found: _all("complete", found))
    wr.add({"cmd": f"echo late >> {log}", "dep_grps": ["A"], "rep_grp": "chain"})
    wr.wait("chain", lambda found: len(found) == 4 and _all("complete", found))
    deadline = time.monotonic() + 60
    while log.read_text().split() != ["a", "b", "c", "late", "b", "c"]:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    wr.add(*chain)
    assert wr.jobs(state="dependent") == []
    wr.add({**chain[0], "rerun": True})
    wr.wait("chain", lambda found: _all("complete", found) and len(log.read_text().split()) == 9)


@pytest.mark.slow
def test_a_chain_of_a_thousand_links(wr: Wr, folder: Path) -> None:
    links, log = 1_000, folder / "log"
    added = wr.add(
        *(
            {"cmd": f"echo {number} >> {log}", "deps": [f"l{number - 1}"],
             "dep_grps": [f"l{number}"], "rep_grp": "long"}
            for number in range(links)
        ),
        cwd=str(folder), cwd_matters="true",
    )  # fmt: skip
    assert [job["State"] for job in added] == ["ready", *["dependent"] * (links - 1)]
    # Asking costs the server time too: only for every hundredth link, and each in its turn.
    for job in added[99::100]:
        wr.wait_for(job["Key"], "complete")
    assert log.read_text().split() == [str(number) for number in range(links)]


@pytest.mark.slow
def test_ten_thousand_into_one(wr: Wr, folder: Path) -> None:
    count, seen = 10_000, folder / "seen"
    fan: list[Job] = [
        {"cmd": f"true f{number}", "dep_grps": ["fan"], "rep_grp": "wide", "cwd": str(folder),
         "cwd_matters": True}
        for number in range(count)
    ]  # fmt: skip
    fan.append({"cmd": f"echo last > {seen}", "deps": ["fan"], "rep_grp": "last"})
    added = wr.add(*fan)
    assert added[-1]["State"] == "dependent"
    for job in added[999:count:1000]:
        wr.wait_for(job["Key"], "complete")
    last = wr.wait_for("last", "complete")
    parents = wr.jobs("wide", state="complete")
    assert len(parents) == count
    assert last["Started"] >= max(job["Ended"] for job in parents)
    assert seen.read_text() == "last\n"
