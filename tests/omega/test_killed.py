"""A server that is killed while tasks run: they go on, and their results are there afterwards."""

from tests.e2e.conftest import Start
from tests.e2e.harness import eventually
from tests.omega.talk import Omega

CODE = """
import pathlib, time
def run(om, *args, **kwargs):
    pathlib.Path(kwargs["mark"]).touch()
    while not pathlib.Path(kwargs["go"]).exists():
        time.sleep(0.02)
    return "done"
"""


def test_tasks_survive(start: Start) -> None:
    server = start()
    omega = Omega(server)
    mark, go = server.home.parent / "mark", server.home.parent / "go"
    omega.ok("PUT", "script/slow", 202, json={"code": CODE})
    omega.ok("POST", "job/j", 201, json={"code": "print('kept')"})
    before = omega.task(omega("POST", "job/j/run?async=1")).json()
    assert before["status"] == "SUCCESS"
    made = omega("POST", f"script/slow/run?async=1&mark={mark}&go={go}")
    eventually(mark.exists, what="the script's start")
    status = omega.ok("GET", f"task/{made.json()['task_id']}/status", 200)
    assert status["status"] == "STARTED"
    server.kill9()
    go.touch()
    server.restart()
    done = omega.task(made).json()
    assert (done["status"], done["response"]["result"]) == ("SUCCESS", "done")
    assert omega.ok("GET", f"task/{before['task_id']}/result", 200) == before
    assert list(omega.ok("GET", "job/j", 200)["job_runs"].values()) == ["OK"]
