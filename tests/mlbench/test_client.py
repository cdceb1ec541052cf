"""The real client library and every command of its CLI that needs no cloud."""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Start
from tests.e2e.harness import short_folder
from tests.mlbench.clients import Client
from tests.mlbench.conftest import ON_THE_NODE
from tests.mlbench.talk import Mlbench

TRAINING = (
    f"{sys.executable} -m gristmill.training.logistic_regression "
    "--run_id {run_id} --rank {rank} --hosts {hosts} --backend {backend}"
)
CUSTOM_IMAGE, MPI = "8", "0"

EVERY_METHOD = """
def told(future):
    reply = future.result()
    kind = reply.headers["Content-Type"]
    return [reply.status_code, reply.json() if kind == "application/json" and reply.text else None]

created = told(api.create_run(
    "by-library", 2, num_cpus=1.5, image="PyTorch Linear Logistic Regression", backend="MPI",
    light_target=True,
))
run = created[1]["id"]
refused = told(api.create_run("Not a name", 2, image="PyTorch Linear Logistic Regression"))
custom = told(api.create_run(
    "custom", 1, custom_image_name="any", custom_image_command="true", custom_backend="own",
    run_all_nodes=True,
))
posted = [told(api.post_metric(run, "loss @ 0", n, metadata="{rank: 0}")) for n in (0.5, 0.25)]
zipped = api.download_run_metrics(run).result()
result = {
    "created": created, "refused": refused, "custom": custom, "posted": posted,
    "runs": told(api.get_runs()), "run": told(api.get_run(run)),
    "metrics": told(api.get_run_metrics(run, metric_filter="loss @ 0", last_n=1)),
    "since": told(api.get_run_metrics(run, since="2100-01-01T00:00:00.000000Z", summarize=10)),
    "pods": told(api.get_worker_pods()), "all": told(api.get_all_metrics()),
    "pod": told(api.get_pod_metrics("gristmill-mlbench-worker-0", summarize=5)),
    "zip": [zipped.status_code, zipped.content[:2].decode()],
    "deleted": api.delete_run(run).result().status_code,
    "gone": api.get_run(run).result().status_code,
    "cleared": api.delete_run(custom[1]["id"]).result().status_code,
}
"""


@pytest.fixture
def user(mlbench: Mlbench) -> Iterator[Client]:
    with short_folder() as home:
        yield Client(mlbench, home)


def test_every_method_of_the_library(idle: Mlbench) -> None:
    with short_folder() as home:
        told = Client(idle, home).library(EVERY_METHOD)
    status, run = told["created"]
    assert status == 201
    assert run["state"] == "initialized"
    assert run["name"] == "by-library"
    assert run["job_metadata"]["cpu_limit"] == "1500.0m"
    assert run["job_metadata"]["command"].endswith(" --light")
    status, body = told["refused"]
    assert (status, body["message"]) == (400, "Invalid run name Not a name")
    assert told["custom"][0] == 201
    assert told["custom"][1]["job_metadata"]["backend"] == "own"
    assert [status for status, _ in told["posted"]] == [201, 201]
    assert [point["value"] for _, point in told["posted"]] == ["0.5", "0.25"]
    assert run["id"] in [each["id"] for each in told["runs"][1]]
    assert told["run"][1]["id"] == run["id"]
    assert [point["value"] for point in told["metrics"][1]["loss @ 0"]] == ["0.25"]
    assert told["since"] == [200, {}]
    assert "gristmill-mlbench-worker-0" in [pod["name"] for pod in told["pods"][1]]
    assert told["all"][0] == told["pod"][0] == 200
    assert told["zip"] == [200, "PK"]
    assert (told["deleted"], told["gone"], told["cleared"]) == (204, 404, 204)


def test_a_benchmark_by_commands_alone(user: Client, mlbench: Mlbench) -> None:
    """Runs on one and two workers at once, looked at, charted, downloaded and deleted."""
    answers = f"{CUSTOM_IMAGE}\nany\n{TRAINING}\n{MPI}\n"
    said = user.command("run", "bench", "1", "2", "--light", answers=answers)
    assert "Run started with name bench-1" in said
    assert "Run started with name bench-2" in said
    runs = {run["name"]: run["id"] for run in mlbench.get("/runs/").json()}
    for name in ("bench-1", "bench-2"):
        mlbench.wait_for(runs[name], "finished")
    listed = user.command("status")
    assert "bench-1" in listed
    assert "finished" in listed
    one = user.command("status", "bench-2")
    assert "Current Global Loss: 0." in one
    assert "Current Global Precision: " in one
    assert "Run not found" in user.command("status", "nobody")
    user.command("download", "bench-2", "--output", "out.zip")
    with zipfile.ZipFile(user.home / "out.zip") as archive:
        assert b"seconds" in archive.read("official_result.txt")
    charts = user.command("charts", "plots", "--filter", "bench", answers="all\n")
    assert "Summary created in plots" in charts
    for name in ("total_time", "speedup", "time_for_all_phases"):
        assert (user.home / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    for name in ("bench-1", "bench-2"):
        user.command("delete", name)
        assert mlbench.get(f"/runs/{runs[name]}").status_code == 404
    assert "Run not found" in user.command("delete", "bench-1")


def test_a_refusal_is_told(user: Client) -> None:
    answers = f"{CUSTOM_IMAGE}\nany\ntrue\n{MPI}\n"
    said = user.command("run", "Bad_name", "1", answers=answers)
    assert "Couldn't start run: Invalid run name Bad_name-1" in said


@pytest.mark.parametrize("hook", ["--mlbench-hook", "--no-mlbench-hook"])
def test_the_hook_points_the_library_at_this_server(start: Start, hook: str) -> None:
    talk = Mlbench(start(*ON_THE_NODE, hook))
    with short_folder() as home:
        client = Client(talk, home)
        script = home / "train.py"
        script.write_text(
            "import sys\n"
            "from mlbench_core.utils import LogMetrics\n"
            "LogMetrics.log(sys.argv[1], int(sys.argv[2]), 0.5, 'train_loss', 0.25)\n"
        )
        command = f"{client.binaries / 'python'} {script} {{run_id}} {{rank}}"
        run = talk.command(command, num_workers="2")["id"]
        told = talk.wait_for(run, "finished", "failed")
        assert told["state"] == "finished", told["job_metadata"]["stderr"]
        series = talk.series(run, metric_type="run")
    talk.close()
    names = {"train_loss @ 0", "train_loss @ 1"} if hook == "--mlbench-hook" else set()
    assert set(series) == names
    assert all(point["value"] == "0.25" for points in series.values() for point in points)


def test_the_hook_leaves_other_programs_alone(tmp_path: Path) -> None:
    import subprocess

    from gristmill.dialects.mlbench.translate import HOOK_FOLDER

    (tmp_path / "sitecustomize.py").write_text("import sys; sys.hidden = True\n")
    program = "import sys, json; print(json.__name__, getattr(sys, 'hidden', False))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": f"{HOOK_FOLDER}:{tmp_path}", "MLBENCH_API_URL": "http://127.0.0.1:1/api"},
    )  # fmt: skip
    assert done.stdout == "json True\n"
    assert done.stderr == ""
