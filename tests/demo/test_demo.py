"""The demo as a person runs it: it shows the truth, and leaves nothing behind."""

import io
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from gristmill.client import Client
from gristmill.demo import pipeline, words
from gristmill.demo.play import DemoFailedError
from gristmill.demo.run import run
from gristmill.demo.screen import Screen
from tests.e2e.harness import GRISTMILL, LIMIT, environment, processes_with, short_folder


@pytest.fixture
def home() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder / "demo"


@contextmanager
def demo(*words: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [*GRISTMILL, "demo", *words], env=environment(), text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        with process:
            yield process
    finally:
        process.kill()


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    pytest.fail(f"the demo ended without saying {text!r}:\n{seen}")


def test_the_whole_demo_and_what_it_keeps(home: Path) -> None:
    with demo("--keep", "--home", str(home)) as process:
        seen = read_until(process, "Serving until")
        assert "equal to a direct count" in seen
        assert "was tried again and succeeded" in seen
        assert "none after" in seen
        assert "self" in seen
        assert f"{pipeline.SHORT_JOBS + pipeline.PIPELINE_JOBS + 2} jobs" in seen
        with Client(home=home) as client:
            counts = client.counts()
        assert counts.counts["complete"] == counts.total - 1
        assert counts.counts["cancelled"] == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT) == 0
    assert (home / "demo" / "words.svg").is_file()
    assert not (home / "server.json").exists()
    assert processes_with(str(home)) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(home: Path, number: signal.Signals) -> None:
    with demo("--home", str(home)) as process:
        read_until(process, "Counting every name")
        process.send_signal(number)
        assert process.wait(LIMIT) == 130
    assert not home.exists()
    assert processes_with(str(home)) == []


def test_a_demo_whose_result_is_wrong_fails_and_leaves_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "SHORT_JOBS", 3)
    monkeypatch.setattr(pipeline, "CHUNKS", 2)
    monkeypatch.setattr(words, "tally", lambda _paths: Counter({b"self": 1}))
    seen = io.StringIO()
    with pytest.raises(DemoFailedError, match="differ from a direct count"):
        run(home, keep=False, screen=Screen(Console(file=seen)))
    assert not home.exists()
    assert processes_with(str(home)) == []


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with demo("--home", str(tmp_path)) as process:
        assert process.stdout is not None
        assert "is not empty" in process.stdout.read()
        assert process.wait(LIMIT) == 2
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_home_that_cannot_be_is_told(home: Path) -> None:
    home.parent.joinpath("file").write_text("")
    with demo("--home", str(home.parent / "file" / "below")) as process:
        assert process.stdout is not None
        assert "cannot use" in process.stdout.read()
        assert process.wait(LIMIT) == 2
