"""A call that takes longer than clients are kept waiting is answered as if it were asynchronous."""

from collections.abc import Iterator

import httpx2
import pytest

from gristmill.dialects.omega_ml.app import create_omega_ml_app
from gristmill.dialects.omega_ml.settings import OmegaSettings
from gristmill.domain.clock import Chance
from gristmill.server.asgi import App
from gristmill.server.guard import Guard
from tests.data.workers import running_workers
from tests.e2e.harness import short_folder
from tests.native.place import LIMIT, Place


class Impatient(Place):
    """No agent runs what is asked for here."""

    def _app(self) -> App:
        return Guard(create_omega_ml_app(self.house, OmegaSettings(patience=0.1)), Chance())


@pytest.fixture(name="api")
def _api() -> Iterator[httpx2.Client]:
    with short_folder() as home, running_workers(home):
        place = Impatient(home, f"sqlite://{home}/mill.db")
        try:
            url = f"{place.url}/api/v1/"
            with httpx2.Client(base_url=url, timeout=LIMIT, trust_env=False) as client:
                yield client
        finally:
            place.stop()


def test_a_run_that_takes_too_long(api: httpx2.Client) -> None:
    assert api.put("job/n", json={"code": "1"}).status_code == 202
    reply = api.post("job/n/run")
    assert reply.status_code == 202
    said = reply.json()
    assert (said["result"], said["job"]) == ("pending", "n")
    assert reply.headers["Location"] == f"/api/v1/task/{said['task_id']}/result"
    found = api.get(f"task/{said['task_id']}/result").json()
    assert (found["status"], found["response"]) == ("PENDING", None)
