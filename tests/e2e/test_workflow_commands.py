"""``gristmill workflow …`` and the clients against a real server."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gristmill.cli.main import run
from gristmill.client import AsyncClient, ConflictError, WaitTimeoutError, WorkflowSpec
from tests.e2e.harness import LIMIT, RunningServer

SCAN = """
name: scan
jobs:
  point: {command: "echo energy $energy", resources: {cpus: 0.1, memory: 10}}
  check: {command: "exit $CODE", env: {CODE: "3"}, resources: {cpus: 0.1, memory: 10}}
  plot: {command: "true"}
after: {plot: [point, check]}
factories:
  - {type: sweep, jobs: [point], parameters: [{name: energy, start: 0.1, end: 0.3, step: 0.1}]}
"""


class Command:
    """Runs commands in this process."""

    def __init__(self, server: RunningServer, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
        self._home, self._captured = str(server.home), capsysbinary

    def __call__(self, *words: object, code: int = 0) -> str:
        found = run(["workflow", *map(str, words), "--home", self._home])
        out, err = self._captured.readouterr()
        assert found == code, (words, out, err)
        assert not (out and err), (out, err)
        return str((out or err).decode())

    def jobs_of(self, number: int) -> list[str]:
        words = ["jobs", "--workflow", str(number), "--oldest", "--json", "--home", self._home]
        assert run(words) == 0
        return [job["node"] for job in json.loads(self._captured.readouterr().out)]

    def json(self, *words: object, code: int = 0) -> Any:
        return json.loads(self(*words, "--json", code=code))


@pytest.fixture
def workflow(shared_server: RunningServer, capsysbinary: pytest.CaptureFixture[bytes]) -> Command:
    return Command(shared_server, capsysbinary)


def test_from_a_file_to_its_end_and_again(
    workflow: Command, shared_server: RunningServer, tmp_path: Path
) -> None:
    file = tmp_path / "scan.yaml"
    file.write_text(SCAN)
    number = int(workflow("submit", file, "--name", "mine", "--label", "a=b"))
    said = workflow("wait", number, code=1)
    assert said == f"{number} failed: 3 of 5 jobs done, 1 failed\n"
    shown = workflow("status", number)
    assert f"workflow {number}\n" in shown
    assert "state    failed" in shown
    assert [line.split() for line in shown.splitlines()[-3:]] == [
        ["point", "3", "3", "0", "0", "0", "-"],
        ["check", "1", "0", "1", "0", "0", "-"],
        ["plot", "1", "0", "0", "0", "1", "point", "check"],
    ]
    assert workflow("graph", number).splitlines() == [
        "point [3/3 done]",
        "check [0/1 done, 1 failed]",
        "  plot [0/1 done]  <- point, check",
    ]
    assert workflow.jobs_of(number) == ["point"] * 3 + ["check", "plot"]
    dot = workflow("graph", number, "--dot")
    assert '"point" -> "plot";' in dot
    assert dot.startswith('digraph "mine" {')
    again = int(workflow("retry", number))
    assert workflow.json("wait", again, code=1)["rerun_of"] == number
    listed = workflow.json("list", "--name", "mine", "--label", "a=b", "--state", "failed")
    assert {view["id"] for view in listed} == {number, again}
    assert workflow("list", "--limit", 1).splitlines()[1].split()[:3] == [
        str(again), "failed", "mine",
    ]  # fmt: skip
    assert workflow("cancel", again, code=1) == f"gristmill: workflow {again} is failed\n"


def test_input_that_makes_no_sense(workflow: Command, tmp_path: Path) -> None:
    file = tmp_path / "bad"
    for text, word in (
        ("[]", "object"),
        ("{", "neither JSON nor YAML"),
        ("jobs: {a: {command: x}}\nafter: {a: [b]}", "after.a"),
        ("jobs: {a: {command: 3}}", "jobs"),
    ):
        file.write_text(text)
        assert word in workflow("submit", file, code=2)
    assert "No such file" in workflow("submit", tmp_path / "none", code=2)
    assert "there is no workflow 99999" in workflow("status", 99999, code=5)


def test_the_asynchronous_client(shared_server: RunningServer) -> None:
    spec = msgspec.convert(
        {"name": "slow", "jobs": {"a": {"command": "sleep 600"}, "b": {"command": "true"}},
         "after": {"b": ["a"]}}, WorkflowSpec,
    )  # fmt: skip

    async def story() -> None:
        async with AsyncClient(shared_server.url_http, shared_server.token) as client:
            workflows = client.workflows
            view = await workflows.submit(spec)
            with pytest.raises(WaitTimeoutError):
                await workflows.wait(view.id, 0.1)
            assert (await workflows.cancel(view.id)).state == "cancelled"
            assert (await workflows.wait(view.id, LIMIT)).ended
            with pytest.raises(ConflictError):
                await workflows.cancel(view.id)
            clone = await workflows.clone(view.id)
            await workflows.cancel(clone.id)
            found = [one.id async for one in workflows.list(name="slow", limit=1)]
            assert found == [clone.id, view.id]
            assert (await workflows.get(view.id)).nodes[1].after == ("a",)

    asyncio.run(story())
