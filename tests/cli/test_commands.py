import io
import json
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cli.conftest import Run
from tests.client.mill import TOKEN, Mill


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_submit_prints_the_id_and_runs_here(mill: Mill, gristmill: Run) -> None:
    ran = gristmill("submit", "--", "echo", "a b")
    assert (ran.code, ran.out, ran.err) == (0, "1\n", "")
    assert mill.specs[1] == {"command": "echo 'a b'", "cwd": os.getcwd()}


def test_submit_takes_every_option(mill: Mill, gristmill: Run) -> None:
    text = (
        "--name n --group g --project p --cpus 0.5 --memory 2G --disk 1T --gpus 1 --nodes 2"
        " --time 1h30m --retries 3 --priority -2 --env A=b=c --env D= --scratch --after 4"
        " --after 5 --after-group ag --dep-group dg --label l=v --image i --mutex m --delay 5"
        " --pool p1 --key k"
    )
    ran = gristmill("submit", "--json", *text.split(), "ls -l | wc")
    assert ran.json == {"ids": [1], "added": 1}
    assert mill.specs[1] == {
        "command": "ls -l | wc",
        "name": "n",
        "group": "g",
        "project": "p",
        "resources": {
            "cpus": 0.5, "memory": 2048, "disk": 1 << 20, "gpus": 1, "nodes": 2, "walltime": 5400.0,
        },
        "retry": {"retries": 3},
        "priority": -2,
        "env": {"A": "b=c", "D": ""},
        "after": [4, 5],
        "after_groups": ["ag"],
        "dep_groups": ["dg"],
        "labels": {"l": "v"},
        "image": "i",
        "mutex": "m",
        "delay": 5.0,
        "pool": "p1",
        "key": "k",
    }  # fmt: skip


def test_a_command_keeps_its_own_options(mill: Mill, gristmill: Run) -> None:
    gristmill("submit", "--cpus", "0", "ls", "--json", "-l")
    assert mill.specs[1]["command"] == "ls --json -l"
    assert mill.specs[1]["resources"] == {"cpus": 0.0}


def test_submit_from_a_file_and_from_standard_input(
    mill: Mill, gristmill: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jobs").write_text("true\nfalse\n")
    assert gristmill("submit", "-f", tmp_path / "jobs", "--group", "g").out == "1\n2\n"
    stdin(monkeypatch, b'[{"command": "x"}]')
    assert gristmill("submit", "-f", "-", "--json").json == {"ids": [3], "added": 1}
    assert mill.specs[2] == {"command": "false", "group": "g", "cwd": os.getcwd()}
    assert mill.specs[3] == {"command": "x"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("submit", "a command or --file"),
        ("submit -f /none", "/none: No such file"),
        ("submit -f /none true", "a command or --file"),
        ("submit --memory 2 true", "'2' is not a size"),
        ("submit --time soon true", "'soon' is not a duration"),
        ("submit --env A true", "'A' is not NAME=VALUE"),
        ("submit --cpus many true", "--cpus"),
        ("submit --cpus -1 true", "resources.cpus: Expected"),
        ("submit --cwd / --scratch true", "--cwd or --scratch"),
        ("submit --colour true", "--colour"),
        ("jobs --state running,odd", "'odd' is not a state"),
        ("jobs --limit 0", "--limit"),
        ("wait", "job ids or --group"),
        ("cancel", "job ids"),
        ("cancel 1 --group g", "job ids"),
        ("status one", "valid integer"),
        ("grind", "'grind'"),
        ("token create", "--user"),
        ("submit --url mill true", "'mill' is not a URL"),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(
    mill: Mill, gristmill: Run, words: str, message: str
) -> None:
    ran = gristmill(*words.split())
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert ran.err.startswith("gristmill: ")
    assert ran.err.count("\n") == 1
    assert not mill.jobs


def test_what_the_server_refuses_names_the_field(mill: Mill, gristmill: Run) -> None:
    ran = gristmill("submit", "refuse me")
    assert (ran.code, ran.err) == (2, "gristmill: jobs[0].command: cannot be run\n")


def test_exit_codes_tell_what_went_wrong(mill: Mill, gristmill: Run, tmp_path: Path) -> None:
    assert gristmill("status", "9").code == 5
    assert gristmill("token", "create", "--user", "nobody").code == 4
    mill.unavailable = 1
    assert gristmill("jobs").code == 3
    url = json.loads((tmp_path / "server.json").read_text())["http"]
    assert gristmill("jobs", "--url", url, "--token", "wrong").code == 4
    assert gristmill("jobs", "--url", "http://127.0.0.1:1", "--token", TOKEN).code == 3
    ran = gristmill("jobs", "--home", tmp_path / "none")
    assert ran.code == 3
    assert "gristmill serve" in ran.err


def test_jobs_are_listed(mill: Mill, gristmill: Run) -> None:
    for number in range(60):
        mill.add({"command": f"echo \x1b[31m{number}", "group": "g", "labels": {"n": str(number)}})
    ran = gristmill("jobs", "--limit", "2")
    header, first, *_ = ran.out.splitlines()
    assert header.split() == ["ID", "STATE", "NAME", "GROUP", "AGE", "TIME", "EXIT", "COMMAND"]
    assert first.split()[:4] == ["60", "ready", "-", "g"]
    assert first.endswith("echo \\x1b[31m59")
    assert len(ran.out.splitlines()) == 3
    assert len(gristmill("jobs", "--json").json) == 50
    assert [job["id"] for job in gristmill("jobs", "--json", "--all", "--oldest").json][:2] == [
        1,
        2,
    ]
    assert [job["id"] for job in gristmill("jobs", "--json", "--label", "n=7").json] == [8]
    assert gristmill("jobs", "--json", "--group", "other").json == []


def test_status_shows_a_job_or_the_server(mill: Mill, gristmill: Run) -> None:
    mill.add({"command": "make all", "group": "g"})
    mill.finish(1, "buried", 2)
    ran = gristmill("status", 1)
    assert ran.code == 0
    for part in ("job 1\n", "buried", "make all", "exit code  2", "1 cpus, 1G memory"):
        assert part in ran.out
    (detail,) = gristmill("status", "--json", 1).json
    assert detail["spec"] == {"command": "make all", "group": "g"}
    assert "1 jobs\n  buried  1" in gristmill("status").out
    assert gristmill("status", "--json").json["counts"]["buried"] == 1


def test_wait_tells_by_its_exit_code(mill: Mill, gristmill: Run) -> None:
    for _ in range(3):
        mill.add({"command": "true", "group": "g"})
    mill.finish(1)
    mill.finish(2, "buried", 7)
    assert gristmill("wait", 1)[:2] == (0, "1 complete\n")
    ran = gristmill("wait", 1, 2)
    assert ran.code == 1
    assert ran.out == "1 complete\n2 buried (exit code 7, command exited non-zero)\n"
    ran = gristmill("wait", 3, "--timeout", "10ms")
    assert (ran.code, ran.out) == (124, "")
    assert gristmill("wait", "--group", "g", "--timeout", "0").code == 124
    threading.Thread(target=mill.finish, args=(3,)).start()
    assert [job["state"] for job in gristmill("wait", 3, 1, "--json").json] == ["complete"] * 2
    ran = gristmill("wait", "--group", "g")
    assert (ran.code, ran.out) == (1, "g: 1 buried, 2 complete\n")
    assert gristmill("wait", "--group", "none").code == 5


def test_submit_can_wait(mill: Mill, gristmill: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    add = mill.add

    def add_and_finish(spec: dict[str, object]) -> int:
        number = add(spec)
        mill.finish(number, *(("buried", 1) if spec["command"] == "false" else ()))
        return number

    monkeypatch.setattr(mill, "add", add_and_finish)
    assert gristmill("submit", "--wait", "true")[:2] == (0, "1\n1 complete\n")
    assert gristmill("submit", "--wait", "false").code == 1
    assert [job["id"] for job in gristmill("submit", "--wait", "--json", "true").json] == [3]


def test_submit_can_follow(mill: Mill, gristmill: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    add = mill.add

    def add_and_run(spec: dict[str, object]) -> int:
        number = add(spec)
        mill.write(number, b"out\n")
        mill.write(number, b"err\n", "stderr")
        mill.finish(number, "buried", 3)
        return number

    monkeypatch.setattr(mill, "add", add_and_run)
    ran = gristmill("submit", "--follow", "make")
    assert (ran.code, ran.out) == (1, "out\n")
    assert "err\n" in ran.err
    assert "job 1 is buried (exit code 3" in ran.err
    assert gristmill("submit", "--follow", "--json", "make").json["exit_code"] == 3


def test_logs(mill: Mill, gristmill: Run) -> None:
    mill.add({"command": "true"})
    mill.write(1, b"one\n")
    mill.write(1, b"bad\n", "stderr")
    assert gristmill("logs", 1)[:2] == (0, "one\n")
    assert gristmill("logs", 1, "--stderr").out == "bad\n"
    assert gristmill("logs", 1, "--offset", 2).out == "e\n"
    assert gristmill("logs", 1, "--json").json == {
        "job": 1, "stream": "stdout", "offset": 0, "text": "one\n",
    }  # fmt: skip
    mill.finish(1)
    assert gristmill("logs", "-f", 1).out == "one\n"


def test_cancel_and_retry(mill: Mill, gristmill: Run) -> None:
    for _ in range(3):
        mill.add({"command": "true", "group": "g"})
    assert gristmill("cancel", 1)[:2] == (0, "1 cancelled\n")
    ran = gristmill("cancel", 1)
    assert (ran.code, ran.err) == (1, "gristmill: job 1 is cancelled\n")
    ran = gristmill("cancel", 1, 2)
    assert (ran.code, ran.out) == (1, "2\n")
    assert "1 is cancelled and was left so" in ran.err
    assert gristmill("retry", "--group", "g", "--json").json == {
        "changed": [1, 2], "unchanged": [{"id": 3, "state": "ready"}],
    }  # fmt: skip
    assert gristmill("cancel", 3, "--json").json == {"changed": [3], "unchanged": []}


def test_agents(mill: Mill, gristmill: Run) -> None:
    ran = gristmill("agents", "--drain", "1")
    assert ran.out.splitlines()[1].split() == [
        "1",
        "here",
        "online",
        "0",
        "2/2",
        "4G/4G",
        "0/0",
        "default",
    ]
    assert "no cgroups" in ran.err
    assert ("POST", "/v1/agents/1/drain") in [(verb, path) for verb, path, _ in mill.seen]
    assert gristmill("agents", "--json").json[0]["name"] == "here"


def test_images(mill: Mill, gristmill: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert gristmill("image", "add", "tool:1", "usr", "--entrypoint", "sh -c").out == "tool:1\n"
    assert mill.images == [{"name": "tool:1", "path": "/usr", "entrypoint": ["sh", "-c"]}]
    assert "tool:1  sh -c" in gristmill("image", "list").out
    assert gristmill("image", "remove", "tool:1", "--json").json == {"removed": "tool:1"}
    assert gristmill("image", "list", "--json").json == []


def test_tokens(mill: Mill, gristmill: Run) -> None:
    words = "token create --user alice --group a --group b --expires 30d --scope read --api-key"
    ran = gristmill(*words.split())
    assert ran.out.splitlines()[-1] == "s3cret"
    wish = {"user": "alice", "groups": ["a", "b"], "expires": "30d", "scopes": ["read"]}
    assert wish.items() <= mill.tokens[0].items()
    assert mill.tokens[0]["api_key"] is True
    assert "alice" in gristmill("token", "list").out
    assert gristmill("token", "revoke", "k1").code == 0
    assert gristmill("token", "list", "--json").json == []


def test_apply_and_export(mill: Mill, gristmill: Run, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("users: []")
    bad.write_text("users: [{name: a, colour: b}]")
    ran = gristmill("apply", "-f", good, "--prune", "--dry-run")
    assert ran.out == "created users/alice\nunchanged 3\n"
    assert mill.seen[-1][1] == "/v1/apply?prune=true&dry_run=true"
    ran = gristmill("apply", "-f", bad)
    assert (ran.code, ran.err) == (2, "gristmill: users[0].colour: line 1: unknown field\n")
    assert gristmill("export").out == "users:\n- {name: alice}\n"
    assert "alice" in gristmill("export", "--json").json["yaml"]


def test_help_and_version(gristmill: Run) -> None:
    assert "submit" in gristmill("--help").out
    assert gristmill().out == gristmill("--help").out
    assert gristmill("--version").out.strip()[0].isdigit()
    assert "--memory SIZE" in gristmill("submit", "--help").out
