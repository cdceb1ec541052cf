"""What a server tells an agent about the members it holds, and whom it believes."""

import base64
from typing import Any

import pytest

from gristmill.domain.errors import ConflictError, InvalidInputError, NotAuthenticatedError
from gristmill.domain.job import JobSpec, Task
from gristmill.domain.staging import Artifact, Credential, Staging, Storage
from gristmill.protocol.messages import Held, Lease, OrderResult, Question
from gristmill.services.queue.submit import Submission
from tests.native.place import Agent, Place

SECRETS = ("registry-secret", "storage-secret")


def full_spec(pool: str) -> JobSpec:
    objects = ("/mine.tgz", "good/a", "bad/a", "/../x", "[", "/")
    return JobSpec(
        tasks=(Task(image="x/y", credential=Credential(username="ann", token=SECRETS[0])),),
        storage=(Storage(kind="webdav", url="https://far", secret=SECRETS[1], inside="/m"),),
        sandbox=True,
        facts={"KEY": "{token}"},
        staging=Staging(artifacts=tuple(Artifact(url=f"object://{name}") for name in objects)),
        pool=pool,
    )


def submit(place: Place, user: str, spec: JobSpec) -> int:
    who = place.run(place.house.tokens.verify_bearer(place.token(user, groups=["good"])["token"]))
    submission = Submission([spec], who.user, caller=who)
    return place.run(place.house.submitter.submit(submission)).ids[0]


def question(agent: Agent, lease: Lease, **more: Any) -> Question:
    held = Held(lease.job, lease.attempt, lease.rank)
    return Question(agent.number, agent.message.instance, held, **more)


@pytest.fixture
def agent(place: Place) -> Agent:
    made = Agent(place, place.name("node"))
    made.message.runtimes.append("container")
    return made


def test_secrets_are_sealed_and_told_to_the_agent_alone(place: Place, agent: Agent) -> None:
    job = submit(place, place.name("ann"), full_spec(agent.message.node))
    (row,) = place.run(place.database.read(lambda tx: tx.all("get_specs", ids=tx.array([job]))))
    for secret in SECRETS:
        assert secret.encode() not in bytes(row[1])
        assert base64.b64encode(secret.encode()) not in bytes(row[1])
        assert secret not in place.admin.get(f"/v1/jobs/{job}").text
    lease = agent.take()
    told = place.run(place.house.preparing.prepare(question(agent, lease)))
    assert told.logins == {0: ("ann", SECRETS[0])}
    assert told.secrets == [SECRETS[1]]
    assert set(told.objects) == {"object:///mine.tgz", "object://good/a"}


def test_a_token_is_good_while_its_attempt_runs(place: Place, agent: Agent) -> None:
    user = place.name("ann")
    job = submit(place, user, full_spec(agent.message.node))
    lease = agent.take()
    agent.started(lease)
    token = place.run(place.house.preparing.prepare(question(agent, lease))).token
    who = place.run(place.house.tokens.verify_bearer(token))
    assert (who.user, who.groups, who.job, who.admin) == (user, ("good",), job, False)
    assert place.client(token).get(f"/v1/jobs/{job}").status_code == 200
    head, body, signature = token.split(".")
    for forged in (f"{head}.{body}.{signature[::-1]}", f"{head}..", f"{head}.{body}"):
        with pytest.raises(NotAuthenticatedError):
            place.run(place.house.tokens.verify_bearer(forged))
    agent.finished(lease)
    with pytest.raises(NotAuthenticatedError):
        place.run(place.house.tokens.verify_bearer(token))


def test_only_who_holds_a_member_is_told_of_it(place: Place, agent: Agent) -> None:
    submit(place, place.name("ann"), full_spec(agent.message.node))
    lease = agent.take()
    other = Agent(place, place.name("other"))
    for ask in (place.house.preparing.prepare, place.house.preparing.places):
        with pytest.raises(InvalidInputError):
            place.run(ask(question(other, lease, outputs=["x"])))
        stranger = Question(agent.number, "another", Held(lease.job, lease.attempt))
        with pytest.raises(ConflictError):
            place.run(ask(stranger))
    urls = place.run(place.house.preparing.places(question(agent, lease, outputs=["a/b"]))).urls
    assert urls[0].startswith(f"{place.house.job_base}/v1/blobs/")
    agent.finished(lease)
    with pytest.raises(InvalidInputError):
        place.run(place.house.preparing.places(question(agent, lease, outputs=["a/b"])))


def test_orders_are_only_for_running_jobs_of_ones_own(place: Place, agent: Agent) -> None:
    user = place.name("ann")
    job = submit(place, user, full_spec(agent.message.node))
    mine, stranger = place.client(place.token(user)["token"]), place.user()

    def run(client: Any, **body: Any) -> int:
        status: int = client.post(f"/v1/jobs/{job}/exec", json=body).status_code
        return status

    lease = agent.take()
    assert run(mine, argv=["ls"]) == 409
    assert run(stranger, argv=["ls"]) == 404
    wrong: tuple[dict[str, Any], ...] = (
        {"argv": []}, {"argv": [""]}, {"argv": "ls"}, {"argv": ["a\0b"]}, {},
        {"argv": ["ls"], "limit": 0}, {"argv": ["ls"], "x": 1},
    )  # fmt: skip
    for bad in wrong:
        assert run(mine, **bad) == 400, bad
    for path in ("", "../x", "a/../../x", "a\0"):
        assert mine.post(f"/v1/jobs/{job}/snapshot", json={"path": path}).status_code == 400
    agent.finished(lease)
    assert run(mine, argv=["ls"]) == 409
    late = OrderResult(0, b"late")
    place.house.orders.answered(12345, late)
