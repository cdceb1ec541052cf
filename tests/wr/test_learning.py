"""What jobs used decides what their kind is expected to need."""

import math
from pathlib import Path

import pytest

from gristmill.domain.learning import ROUNDING, Resource, advise
from tests.wr.conftest import Start
from tests.wr.talk import QUICK, Job, Wr

EAT = "python3 -c 'x = bytearray({mb} << 20); import time; time.sleep(0.{tenths})'"


def _learned(wr: Wr, group: str) -> list[Job]:
    """Run a few jobs of a kind; return their statuses."""
    wr.add(
        *(
            {"cmd": EAT.format(mb=40 + number, tenths=5), "rep_grp": group, "req_grp": group,
             "memory": "2G", "time": "1h", "cpus": 1}
            for number in range(3)
        )
    )  # fmt: skip
    return wr.wait(group, lambda found: {job["State"] for job in found} == {"complete"})


def _rounded(jobs: list[Job]) -> tuple[int, int]:
    """Return the advice of few observations: the largest, rounded up."""
    memory = max(100, math.ceil(max(job["PeakRAM"] for job in jobs) / 100) * 100)
    return memory, max(math.ceil(job["Walltime"]) for job in jobs)


@pytest.fixture(scope="module")
def taught(wr: Wr) -> tuple[Wr, int, int]:
    """A server that has learned about the kind ``hungry``."""
    jobs = _learned(wr, "hungry")
    assert {(job["ExpectedRAM"], job["ExpectedTime"]) for job in jobs} >= {(2048, 3600)}
    return wr, *_rounded(jobs)


@pytest.mark.parametrize(
    ("override", "memory", "expects_advice"),
    [(0, "2G", True), (0, "1M", True), (1, "2G", False), (1, "1M", True), (2, "1M", False)],
)
def test_overrides(
    taught: tuple[Wr, int, int], override: int, memory: str, expects_advice: bool
) -> None:
    wr, advised, seconds = taught
    (job,) = wr.add(
        {"cmd": f"true {override} {memory}", "req_grp": "hungry", "override": override,
         "memory": memory, "time": "2h" if override != 1 else "0s", "deps": ["never"]}
    )  # fmt: skip
    requested = {"2G": 2048, "1M": 1}[memory]
    assert job["ExpectedRAM"] == (advised if expects_advice else requested)
    assert job["ExpectedTime"] == (7200 if override == 2 else seconds)


def test_deleting_makes_nobody_forget(taught: tuple[Wr, int, int]) -> None:
    wr, advised, seconds = taught
    for cmd in ("true forget", "true remember"):
        (job,) = wr.add({"cmd": cmd, "req_grp": "hungry", "memory": "2G", "deps": ["never"],
                         "rep_grp": "forget", "dep_grps": [cmd]})  # fmt: skip
        assert (job["ExpectedRAM"], job["ExpectedTime"]) == (advised, seconds)
        wr.end("deletable", job["Key"])


def test_kinds_are_told_apart_exactly(taught: tuple[Wr, int, int]) -> None:
    wr, _, _ = taught
    (job,) = wr.add({"cmd": "true hungry2", "req_grp": "hungry2", "memory": "2G"})
    assert job["ExpectedRAM"] == 2048


def test_the_kind_is_the_commands_name(wr: Wr, folder: Path) -> None:
    script = folder / "named"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    (first,) = wr.add({"cmd": f"{script} 1", "rep_grp": "named"})
    assert first["ExpectedTime"] == 3600
    wr.wait_for("named", "complete")
    (second,) = wr.add({"cmd": "named elsewhere", "rep_grp": "named2"})
    assert (second["ExpectedRAM"], second["ExpectedTime"]) == (100, 1)


def test_more_memory_after_it_ran_out(wr: Wr) -> None:
    wr.add(
        {"cmd": EAT.format(mb=200, tenths=9) + "; false", "memory": "50M", "retries": 1,
         "rep_grp": "short", "req_grp": "short"}
    )  # fmt: skip
    failed = wr.wait("short", lambda found: found[0]["FailReason"])
    assert failed[0]["FailReason"] == "command used too much RAM"
    job = wr.wait_for("short", "buried")
    assert (job["FailReason"], job["Attempts"]) == ("command exited non-zero", 2)
    assert job["ExpectedRAM"] >= job["PeakRAM"] + 1000 - 100
    assert job["ExpectedRAM"] % 100 == 0


def test_more_fit_at_once_when_it_is_known_what_they_need(start: Start) -> None:
    talk = Wr(start("--agent-cpus", "4", "--agent-memory", "3G", *QUICK))
    try:
        job = {"memory": "2G", "cpus": 1, "req_grp": "packed"}
        talk.add({**job, "cmd": "true teach", "rep_grp": "teach"})
        talk.wait("teach", lambda found: found[0]["State"] in {"running", "complete"})
        talk.wait_for("teach", "complete")
        gate = f"{talk.cwd}/gate"
        talk.add(
            *(
                {**job, "cmd": f"while [ ! -e {gate} ]; do sleep 0.05; done # {number}",
                 "rep_grp": "packed"}
                for number in range(4)
            )
        )  # fmt: skip
        found = talk.wait("packed", lambda found: {each["State"] for each in found} == {"running"})
        assert {each["ExpectedRAM"] for each in found} == {100}
        Path(gate).touch()
        talk.wait("packed", lambda found: {each["State"] for each in found} == {"complete"})
    finally:
        talk.close()


def test_before_it_is_known_they_are_reckoned_with_as_they_ask(start: Start, folder: Path) -> None:
    talk = Wr(start("--agent-cpus", "4", "--agent-memory", "3G", *QUICK))
    try:
        gate = folder / "gate"
        talk.add(
            *(
                {"memory": "2G", "cpus": 1, "rep_grp": "wide", "req_grp": f"kind{number}",
                 "cmd": f"while [ ! -e {gate} ]; do sleep 0.05; done # {number}"}
                for number in range(2)
            )
        )  # fmt: skip
        talk.wait("wide", lambda found: "running" in {each["State"] for each in found})
        assert sorted(each["State"] for each in talk.jobs("wide")) == ["ready", "running"]
        gate.touch()
        talk.wait("wide", lambda found: {each["State"] for each in found} == {"complete"})
    finally:
        talk.close()


@pytest.mark.parametrize(
    ("seen", "advice"),
    [
        ([], None),
        ([50], 100),
        ([101, 102, 950], 1000),
        ([100, 200, 300, 400, 500, 2000], 100),
        (list(range(100, 2100, 100)), 1500),
        (list(range(100, 10_100, 100)), 9500),
        (list(range(100, 10_200, 100)), 9600),
        (list(range(100, 20_100, 100)), 19_000),
    ],
)
def test_the_formula(seen: list[int], advice: int | None) -> None:
    """Of up to 5 values the most, of up to 100 below the top five, of more below the top 5 %."""
    assert advise(seen, ROUNDING[Resource.MEMORY]) == advice
