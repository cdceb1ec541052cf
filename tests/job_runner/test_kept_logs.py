"""A server that keeps few logs: ``run_log`` of the runs before them is null."""

from tests.e2e.harness import eventually
from tests.job_runner.conftest import Start
from tests.job_runner.stand_in import now
from tests.job_runner.talk import Worker
from tests.job_runner.world import WORLD


def test_the_newest_logs_stay(start: Start) -> None:
    server = start("--engine", "none", "--job-runner-keep-logs", "1")
    server.client().apply(WORLD)
    worker = Worker(server.url_http)
    job, me = worker.titled("job", "first")["resource_uri"], worker.myself["resource_uri"]
    runs, logs = [], []
    for _ in range(2):
        run = worker.post("run", {"job": job, "schedule_dts": now(), "is_manual": True})
        worker.patch(run, {"enqueue_dts": now(), "worker": me, "start_dts": now()})
        logs.append(worker.post("run_log", {"run": run, "content": "x"}))
        worker.patch(run, {"return_dts": now(), "return_success": True})
        runs.append(run)
    assert worker.get(runs[0])["run_log"] == logs[0]
    # Logs are looked at when the server starts, then hourly.
    assert server.stop() == 0
    server.restart()
    eventually(lambda: worker.get(runs[0])["run_log"] is None, what="the older log to go")
    assert worker.status("GET", logs[0]) == 404
    assert worker.get(runs[1])["run_log"] == logs[1]
    assert [one["resource_uri"] for one in worker.objects("run_log/")] == [logs[1]]
    worker.close()
