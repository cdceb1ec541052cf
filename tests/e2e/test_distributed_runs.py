"""``gristmill run`` and ``gristmill metrics`` on a real server."""

import json
import subprocess
import sys

from gristmill.training import logistic_regression
from tests.e2e.harness import GRISTMILL, LIMIT, RunningServer, environment

NAMES = "import os; print('rank', os.environ['RANK'], 'of', os.environ['WORLD_SIZE'], flush=True)"
FAILING = (
    "import os, sys, time\n"
    "if os.environ['RANK'] == '1': sys.exit(5)\n"
    "time.sleep(600)"
)  # fmt: skip
RESTARTED = (
    "import os, sys\n"
    "count = os.environ['TORCHELASTIC_RESTART_COUNT']\n"
    "print('restart', count, flush=True)\n"
    "sys.exit(0 if count == '1' else 9)"
)


def gristmill(server: RunningServer, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command as the server's administrator."""
    variables = environment(GRISTMILL_HOME=str(server.home))
    return subprocess.run(
        [*GRISTMILL, *words], env=variables, capture_output=True, text=True, timeout=LIMIT,
        check=False, stdin=subprocess.DEVNULL, cwd=server.home.parent,
    )  # fmt: skip


def test_ranks_are_told_apart(shared_server: RunningServer) -> None:
    done = gristmill(shared_server, "run", "--nproc", "3", "--", sys.executable, "-c", NAMES)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [f"[{n}] rank {n} of 3" for n in range(3)]


def test_one_failing_rank_ends_all(shared_server: RunningServer) -> None:
    words = ("--", sys.executable, "-c", FAILING)
    done = gristmill(shared_server, "run", "--nproc", "2", *words)
    assert done.returncode == 1, done


def test_all_ranks_begin_again(shared_server: RunningServer) -> None:
    words = ("--restarts", "1", "--", sys.executable, "-c", RESTARTED)
    done = gristmill(shared_server, "run", "--nproc", "2", *words)
    assert done.returncode == 0, done
    assert "restart 1" in done.stdout


def test_a_goal_line_is_a_good_end(shared_server: RunningServer) -> None:
    script = "echo 'Goal Reached!'; sleep 1.5; exit 4"
    done = gristmill(shared_server, "run", "--goal", "goal reached!", "--", "sh", "-c", script)
    assert done.returncode == 0, done


def test_a_training_program_finds_its_ranks(shared_server: RunningServer) -> None:
    words = ("--", sys.executable, "-m", logistic_regression.__name__, "--light")
    done = gristmill(shared_server, "run", "--nproc", "2", *words)
    assert done.returncode == 0, done
    assert "Goal Reached!" in done.stdout


def test_metrics_are_listed_shown_and_plotted(shared_server: RunningServer) -> None:
    for number in range(20):
        body = {"source": "trial", "name": "loss", "value": number / 4, "at": 1e9 + number}
        assert shared_server.request("POST", "/v1/metrics", json=body).status_code == 201
    assert gristmill(shared_server, "metrics", "list").stdout.splitlines() == ["trial"]
    latest = gristmill(shared_server, "metrics", "show", "trial")
    assert "4.75" in latest.stdout
    shown = gristmill(shared_server, "metrics", "show", "trial", "--last", "3", "--json")
    points = json.loads(shown.stdout)["series"]["loss"]
    assert [point["value"] for point in points] == ["4.25", "4.5", "4.75"]
    plotted = gristmill(shared_server, "metrics", "plot", "trial", "--name", "loss")
    assert plotted.returncode == 0, plotted.stderr
    assert plotted.stdout.startswith("loss\n")
    assert len(plotted.stdout.splitlines()) > 5
    done = gristmill(shared_server, "metrics", "plot", "trial", "--output", "loss.png")
    assert done.returncode == 0, done.stderr
    image = shared_server.home.parent / "loss.png"
    assert image.read_bytes().startswith(b"\x89PNG")
    assert gristmill(shared_server, "metrics", "plot", "nobody").returncode == 5


def test_the_client_reads_metrics(shared_server: RunningServer) -> None:
    client = shared_server.client()
    body = [{"source": "read", "name": name, "value": n} for n in range(10) for name in ("a", "b")]
    assert shared_server.request("POST", "/v1/metrics", json=body).status_code == 201
    found = client.metrics(source="read", name="a", summarize=5)
    assert [float(point.value) for point in found.series["a"]] == [0.5, 2.5, 4.5, 6.5, 8.5]
    assert set(client.metrics(source="read", last=1).series) == {"a", "b"}
    assert "read" in client.metric_sources()
