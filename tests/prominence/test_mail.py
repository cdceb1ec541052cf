"""Who asked to be told of an end is told, also of what is submitted or run again."""

from typing import Any

from tests.prominence.conftest import Start
from tests.prominence.talk import Prominence, description
from tests.services.relay import Relay

OF_JOB = [{"event": "jobFinished", "type": "email"}]
OF_WORKFLOW = [{"event": "workflowFinished", "type": "email"}]


def test_what_is_submitted_or_run_again_is_told_too(start: Start) -> None:
    relay = Relay()
    with relay.running():
        smtp = ("--smtp", f"127.0.0.1:{relay.port}", "--mail-from", "mill@example.org")
        server = start("--https", "off", "--container-engine", "host", *smtp)
        user = Prominence(server, "ann", email="ann@example.org")

        def put(path: str) -> int:
            reply = user.ask("PUT", path)
            assert reply.status_code in {200, 201}, reply.text
            number: int = reply.json()["id"]
            return number

        def jobs_of(workflow: int) -> list[int]:
            return user.ids(id=workflow, workflow="true", all="")

        job = user.run("true", notifications=OF_JOB)
        user.wait(job, "completed")
        expected = [f"Job {job} (small) completed"]
        expected.append(f"Job {put(f'/jobs/{job}/clone')} (small) completed")
        relay.wait(2)
        flow: dict[str, Any] = {
            "name": "flow",
            "jobs": [{**description("false", notifications=OF_JOB), "name": "bad"}],
            "policies": {"maximumRetries": 1, "maximumReruns": 1},
            "notifications": OF_WORKFLOW,
        }
        first = user.ask("POST", "/workflows", json=flow).json()["id"]
        relay.wait(2 + 5)
        again = put(f"/workflows/{first}")
        relay.wait(2 + 10)
        clone = put(f"/workflows/{first}/clone")
        mails = relay.wait(2 + 15)
        for workflow in (first, again, clone):
            expected.append(f"Workflow {workflow} (flow) failed")
            tries = jobs_of(workflow)
            assert len(tries) == 4
            expected += [f"Job {number} (bad) failed" for number in tries]
        assert sorted(str(message["Subject"]) for _, message in mails) == sorted(expected)
        assert all(to == ["ann@example.org"] for to, _ in mails)
        user.close()
