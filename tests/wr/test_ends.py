"""How jobs end, row by row: reasons, output, behaviours, and what a kill does to each."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.dialects.wr.behaviours import print_behaviours
from gristmill.dialects.wr.status import _worded
from gristmill.dialects.wr.wire import Behaviour, JobRequest
from gristmill.domain import outcome
from tests.wr.talk import Job, Wr


@pytest.mark.parametrize(
    ("reason", "code", "words"),
    [
        (outcome.NON_ZERO_EXIT, 1, "command exited non-zero"),
        (outcome.SIGNALLED, -9, "command exited non-zero"),
        (outcome.NON_ZERO_EXIT, 126, "command permission problem"),
        (outcome.NON_ZERO_EXIT, 127, "command not found"),
        (outcome.NON_ZERO_EXIT, 128, "command invalid exit code"),
        (outcome.OVER_MEMORY, 1, "command used too much RAM"),
        (outcome.DISK_FULL, 1, "ran out of disk space"),
        (outcome.OVER_WALLTIME, 143, "command used too much time"),
        (outcome.STOPPED_WITH_SERVER, None, "runner received a signal to stop"),
        (outcome.CANCELLED_BY_USER, None, "killed by user request"),
        (outcome.LOST, None, "lost contact with runner"),
        (outcome.AGENT_DIED, None, "lost contact with runner"),
        (outcome.IMPOSSIBLE, None, "resource requirements cannot be met"),
        (outcome.COULD_NOT_START, None, "command failed to start"),
        (outcome.BAD_WORKDIR, None, "working directory does not exist"),
        (outcome.MOUNT_FAILED, None, "mounting of remote file system(s) failed"),
        (outcome.UPLOAD_FAILED, 0, "failed to upload files to remote file system"),
    ],
)
def test_every_reason_has_its_words(reason: str, code: int | None, words: str) -> None:
    assert _worded(reason, code) == words


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        (JobRequest(), ""),
        (JobRequest(on_exit=[Behaviour(cleanup=True)]), '{"on_exit":[{"cleanup":true}]}'),
        (
            JobRequest(on_success=[Behaviour(cleanup_all=True)], on_failure=[Behaviour(run="foo")]),
            '{"on_failure":[{"run":"foo"}],"on_success":[{"cleanup_all":true}]}',
        ),
    ],
)
def test_behaviours_as_they_are_printed(given: JobRequest, printed: str) -> None:
    assert print_behaviours(given) == printed


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        (Behaviour(cleanup=True, run="r"), '{"run":"r"}'),
        (Behaviour(copy_to_manager=["f"], cleanup=True), '{"copy_to_manager":["f"]}'),
        (Behaviour(cleanup_all=True, cleanup=True), '{"cleanup":true}'),
        (Behaviour(cleanup_all=True, remove=True), '{"cleanup_all":true}'),
        (Behaviour(remove=True, nothing=True), '{"remove":true}'),
        (Behaviour(cleanup=False), '{"nothing":true}'),
    ],
)
def test_of_several_keys_the_first_counts(given: Behaviour, counts: str) -> None:
    assert print_behaviours(JobRequest(on_exit=[given])) == f'{{"on_exit":[{counts}]}}'


@pytest.fixture
def small(folder: Path) -> Iterator[Path]:
    """A folder on a volume of two megabytes."""
    volume = folder / "small"
    volume.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(volume)]
    if subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small volume needs root")
    yield volume
    subprocess.run(["umount", "-l", str(volume)], check=True)


def test_no_room_on_the_disk(wr: Wr, small: Path) -> None:
    (added,) = wr.add(
        {"cmd": "head -c 9M /dev/zero > x", "cwd": str(small), "retries": 1, "disk": 1,
         "on_failure": [{"cleanup": True}], "req_grp": "writers"}
    )  # fmt: skip
    job = wr.wait_for(added["Key"], "buried")
    assert (job["FailReason"], job["Exitcode"], job["Attempts"]) == ("ran out of disk space", 1, 2)
    assert job["RequestedDisk"] == 1, "more than the two megabytes there were is still one gigabyte"


def test_a_signal_after_its_time_is_a_matter_of_time(wr: Wr) -> None:
    late, early = wr.add(
        {"cmd": "sleep 1.3; kill -TERM $$", "time": "1s", "req_grp": "late", "retries": 1},
        {"cmd": "kill -TERM $$ # early", "time": "1h", "req_grp": "early"},
    )
    job = wr.wait_for(late["Key"], "buried", "delayed")
    assert job["FailReason"] == "command used too much time"
    assert wr.wait_for(early["Key"], "buried")["FailReason"] == "command exited non-zero"
    longer = wr.wait(late["Key"], lambda found: found[0]["ExpectedTime"] > 3600)[0]
    assert longer["ExpectedTime"] == pytest.approx(3601.3, abs=30)
    wr.wait_for(late["Key"], "buried")


def test_more_time_than_asked_for_is_tolerated(wr: Wr) -> None:
    (added,) = wr.add({"cmd": "sleep 1.2 # long", "time": "1s", "req_grp": "long"})
    assert wr.wait_for(added["Key"], "complete", "buried")["State"] == "complete"


def test_output_goes_when_a_retry_succeeds(wr: Wr, folder: Path) -> None:
    command = f"echo told; test -e {folder}/x || ! touch {folder}/x"
    (added,) = wr.add({"cmd": command, "retries": 1, "rep_grp": "told"})
    assert wr.wait("told", lambda found: found[0]["StdOut"] == "told", std="true")
    job = wr.wait_for(added["Key"], "complete", std="true")
    assert (job["StdOut"], job["FailReason"], job["Exitcode"], job["Attempts"]) == ("", "", 0, 2)


def test_output_is_that_of_the_last_attempt(wr: Wr, folder: Path) -> None:
    command = f"echo x >> {folder}/n; wc -l < {folder}/n; wc -l < {folder}/n >&2; false"
    (added,) = wr.add({"cmd": command, "retries": 1})
    job = wr.wait_for(added["Key"], "buried", std="true")
    assert (job["StdOut"], job["StdErr"], job["Attempts"]) == ("2", "2", 2)


def test_killed_and_yet_a_good_end(wr: Wr, folder: Path) -> None:
    command = f"trap 'exit 0' TERM; touch {folder}/up; sleep 1000 & wait"
    wr.add({"cmd": command, "rep_grp": "graceful", "on_success": [{"run": f"touch {folder}/ok"}]})
    wr.wait("graceful", lambda found: (folder / "up").exists())
    wr.end("running", "graceful")
    job = wr.wait_for("graceful", "complete", "buried")
    assert (job["State"], job["Exitcode"], job["FailReason"]) == ("complete", 0, "")
    assert (folder / "ok").exists()


def test_behaviours_that_fail_change_nothing(wr: Wr) -> None:
    good, bad = wr.add(
        {"cmd": "true # good", "on_success": [{"run": "exit 3"}], "on_exit": [{"run": "/none"}]},
        {"cmd": "exit 5 # bad", "on_failure": [{"run": "true"}]},
    )
    assert wr.wait_for(good["Key"], "complete")["Exitcode"] == 0
    assert wr.wait_for(bad["Key"], "buried")["Exitcode"] == 5


def test_cleanup_leaves_a_directory_that_matters(wr: Wr, folder: Path) -> None:
    (added,) = wr.add(
        {"cmd": "touch kept", "cwd": str(folder), "cwd_matters": True,
         "on_exit": [{"cleanup": True}, {"cleanup_all": True}, {"run": "touch ran"}]}
    )  # fmt: skip
    wr.wait_for(added["Key"], "complete")
    assert sorted(os.listdir(folder)) == ["kept", "ran"]


@pytest.mark.parametrize("behaviour", ["cleanup", "cleanup_all"])
def test_cleaning_up(wr: Wr, folder: Path, behaviour: str) -> None:
    (added,) = wr.add(
        {"cmd": f"mkdir -p a/b; touch a/b/c {behaviour}", "cwd": str(folder),
         "on_exit": [{behaviour: True}]}
    )  # fmt: skip
    wr.wait_for(added["Key"], "complete")
    assert os.listdir(folder) == []


def test_rerun_touches_nothing_that_lives(wr: Wr) -> None:
    buried: Job = {"cmd": "exit 9 # rerun", "rep_grp": "touch-me-not"}
    wr.add(buried)
    before = wr.wait_for("touch-me-not", "buried")
    (again,) = wr.add({**buried, "rerun": True, "memory": "9G"})
    assert again == before


def test_a_pipe_in_a_behaviour(wr: Wr, folder: Path) -> None:
    (added,) = wr.add(
        {"cmd": "true # pipe", "on_exit": [{"run": f"false | true && touch {folder}/no"},
                                           {"run": f"echo $PWD > {folder}/where"}]}
    )  # fmt: skip
    job = wr.wait_for(added["Key"], "complete")
    assert os.listdir(folder) == ["where"]
    assert (folder / "where").read_text().strip() == job["CwdBase"] + job["Cwd"]


def test_removed_once_buried(wr: Wr) -> None:
    (added,) = wr.add(
        {"cmd": "exit 4 # remove", "on_failure": [{"remove": True}], "rep_grp": "gone"}
    )
    assert added["Behaviours"] == '{"on_failure":[{"remove":true}]}'
    wr.wait("gone", lambda found: found == [])
