"""The command as a process of its own: signals, pipes, terminals, completion, loading."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from tests.client.mill import Mill

COMMAND = [sys.executable, "-c", "from gristmill.cli.main import main; main()"]


def start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )


def test_events_go_on_until_interrupted(mill: Mill) -> None:
    mill.happen("job.ready", 4)
    process = start("events", "--after", "0", "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["jobs"] == [4]
    mill.happen("agent.online")
    assert json.loads(process.stdout.readline())["kind"] == "agent.online"
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert (process.returncode, error) == (130, b"")


def test_nobody_reading_on_is_no_error_to_show(mill: Mill) -> None:
    mill.add({"command": "true"})
    mill.write(1, b"x" * 3_000_000)
    mill.finish(1)
    process = start("logs", "1")
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    process.stdout = None
    _, error = process.communicate(timeout=20)
    assert (process.returncode, error) == (141, b"")


def test_an_interrupted_follow_says_that_the_job_goes_on(mill: Mill) -> None:
    process = start("submit", "--follow", "sleep 1000")
    assert process.stderr is not None
    assert process.stderr.readline() == b"job 1\n"
    mill.write(1, b"begun\n")
    assert process.stdout is not None
    assert process.stdout.read(6) == b"begun\n"
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"gristmill cancel 1" in error


def test_a_terminal_gets_colours_and_a_bar(mill: Mill) -> None:
    mill.add({"command": "true \x1b]0;evil"})
    mill.finish(1)
    for words, parts in (
        (("jobs",), (b"\x1b[32mcomplete", b"\\x1b]0;evil")),
        (("status", "1"), (b"\x1b[1mjob 1", b"complete")),
        (("wait", "1"), (b"1/1", b"1 complete")),
    ):
        shown = on_terminal(*words)
        assert all(part in shown for part in parts), shown
        assert b"\x1b]0;evil" not in shown


def on_terminal(*words: str) -> bytes:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [*COMMAND, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:
        pass  # Linux reports the end of a terminal this way.
    os.close(ours)
    assert process.wait(20) == 0
    return shown


def test_completion(tmp_path: Path) -> None:
    environment = {**os.environ, "_GRISTMILL_COMPLETE": "complete_bash", "HOME": str(tmp_path)}
    environment |= {"COMP_WORDS": "gristmill st", "COMP_CWORD": "1"}
    done = subprocess.run(COMMAND, env=environment, capture_output=True, check=True)
    assert done.stdout.split() == [b"status"]


def test_help_loads_nothing_heavy() -> None:
    check = (
        "import sys; from gristmill.cli.main import run; run(['--help']);"
        "heavy = {'httpx2', 'rich', 'msgspec', 'asyncio', 'ssl', 'litestar', 'apsw'};"
        "sys.exit(' '.join(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.stderr.split() == []
