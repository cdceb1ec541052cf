"""The native interface of a real server with a real agent, through the client library."""

import threading
import time

import pytest

from gristmill.domain.errors import ConflictError
from gristmill.domain.job import JobSpec
from tests.e2e.harness import short_folder, start_server, wait_for_state

LIMIT = 60.0


def test_a_real_job_is_followed_to_its_end() -> None:
    with short_folder() as folder:
        server = start_server(folder / "h")
        try:
            client = server.client()
            info = client.info()
            assert (info.engine, info.user, info.home) == ("local", "admin", str(folder / "h"))
            gate = folder / "gate"
            wait = f"while ! test -e {gate}; do sleep 0.1; done"
            job = client.submit(JobSpec(command=f"echo begun; {wait}; echo over")).id
            wait_for_state(client, job, "running")
            pieces: list[bytes] = []
            following = threading.Thread(
                target=lambda: pieces.extend(client.output(job, "stdout", follow=True))
            )
            following.start()
            assert [view.id for view in client.jobs(ids=[job, 999])] == [job]
            gate.touch()
            following.join(LIMIT)
            assert b"".join(pieces) == b"begun\nover\n"
            assert client.wait(job, LIMIT).succeeded
            (agent,) = client.agents()
            assert agent.state == "online"
            with pytest.raises(ConflictError, match="connected"):
                client.forget_agent(agent.id)

            began = time.monotonic()
            server.stop()
            assert time.monotonic() - began < LIMIT / 2
        finally:
            server.close()
        server.check_logs()
