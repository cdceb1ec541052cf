"""Many jobs at once, and long lists of Keys."""

import json
import time

import pytest

from tests.e2e.conftest import Start
from tests.wr.talk import JOBS, Wr

COUNT = 20_000


@pytest.mark.slow
def test_many_in_one_request(start: Start) -> None:
    wr = Wr(start("--engine", "none"))
    try:
        jobs = [{"cmd": f"true {number}", "cpus": 1} for number in range(COUNT)]
        reply = wr.client.post(JOBS, content=json.dumps(jobs), params={"rep_grp": "many"})
        assert reply.status_code == 201
        added = reply.json()
        assert [job["Cmd"] for job in added] == [job["cmd"] for job in jobs]
        assert {job["State"] for job in added} == {"ready"}
        began = time.monotonic()
        (sample,) = wr.jobs(limit="1")
        assert time.monotonic() - began < 1.0
        assert sample["Similar"] == COUNT - 1
        assert len(wr.jobs("many")) == COUNT
        keys = [job["Key"] for job in added[:1000]]
        assert [job["Key"] for job in wr.jobs(*keys)] == keys
        assert len(wr.end("deletable", "many")) == COUNT
        assert wr.jobs() == []
    finally:
        wr.close()


def test_a_thousand_keys_while_they_run(wr: Wr) -> None:
    added = wr.add(*({"cmd": f"true r{number}", "rep_grp": "poll"} for number in range(1000)))
    url = ",".join(job["Key"] for job in added)
    assert len(url) > 32_000
    found = wr.wait(url, lambda found: {job["State"] for job in found} == {"complete"})
    assert [job["Cmd"] for job in found] == [job["Cmd"] for job in added]
    assert wr.jobs(limit="1", state="ready") == []
