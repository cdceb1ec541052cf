"""The queue under random histories: whatever happens in whatever order, its promises hold."""

import asyncio
import contextlib
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gristmill.domain.errors import ConflictError, InvalidInputError
from gristmill.domain.factories import Repeat
from gristmill.domain.state import TERMINAL, JobState
from gristmill.domain.workflow import NOT_IN_WORKFLOWS, WorkflowSpec
from gristmill.protocol.messages import Finished, Held
from gristmill.services.workflows.submit import WorkflowSubmission
from gristmill.store.database import open_database
from tests.raw import rows
from tests.services.audit import audit
from tests.services.mill import ANN, EVERYBODY, RULES, Clock, FakeAgent, Mill, spec

EXAMPLES = int(os.environ.get("GRISTMILL_MACHINE_EXAMPLES", "25"))

_S = JobState
_GROUPS = st.lists(st.sampled_from("gh"), max_size=1)
_JOBS = st.fixed_dictionaries(
    {},
    optional={
        "cpus": st.sampled_from([0, 0.5, 1, 2]),
        "nodes": st.just(2),
        "priority": st.integers(-1, 1),
        "mutex": st.sampled_from("mn"),
        "dep_groups": _GROUPS,
        "after_groups": _GROUPS,
        "delay": st.sampled_from([3.0, 30.0]),
        "queue_timeout": st.sampled_from([20.0, 200.0]),
        "retry": st.sampled_from([{"retries": 1, "delay": 0}, {"retries": 2, "delay": 8}]),
        "key": st.sampled_from("kl"),
    },
)
_PICK = st.integers(0, 1_000)


class QueueMachine(RuleBasedStateMachine):
    """Two agents, a clock, and everything people and networks do to a queue."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gristmill-machine-"))
        self.url = f"sqlite://{self.folder}/gristmill.db"
        self.database = open_database(self.url, self.folder)
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.jobs: list[int] = []
        self.gone: set[int] = set()
        self.workflows: list[int] = []
        self.fences: dict[int, int] = {}
        self.started: dict[str, set[Held]] = {"a": set(), "b": set()}
        self.told: list[tuple[FakeAgent, Finished]] = []
        self.database.start()
        self.mill = Mill(self.database, self.clock, self.folder)
        self.do(self.mill.open())
        self.agents = [FakeAgent(self.mill, name, cpus=2) for name in "ab"]
        for agent in self.agents:
            self.do(agent.register())

    def do(self, story: Any) -> Any:
        return self.runner.run(story)

    # What people do.

    @rule(
        wishes=st.lists(_JOBS, min_size=1, max_size=4),
        after=st.lists(_PICK, max_size=2),
        any_=_PICK,
    )
    def submit(self, wishes: list[dict[str, Any]], after: list[int], any_: int) -> None:
        links: dict[str, Any] = {}
        if self.jobs and after:
            links["after"] = [self.jobs[pick % len(self.jobs)] for pick in after]
        if self.jobs and any_ % 5 == 0:
            links["after_any"] = [self.jobs[any_ % len(self.jobs)]]
        specs = []
        for wish in wishes:
            if set(wish.get("dep_groups", ())) & set(wish.get("after_groups", ())):
                wish = {**wish, "dep_groups": []}
            if "nodes" in wish:
                wish = {**wish, "cpus": 2}  # a played agent can tell but one member of a job
            specs.append(spec(**wish, **links))
        try:
            ids = self.do(self.mill.submit(*specs))
        except InvalidInputError:
            assert links, "only a cancelled dependency is refused"
        else:
            self.jobs += [job for job in dict.fromkeys(ids) if job not in self.jobs]

    @rule(
        sizes=st.lists(st.integers(1, 3), min_size=1, max_size=4),
        edges=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=4),
        wish=_JOBS,
        retries=st.integers(0, 1),
        reruns=st.integers(0, 1),
    )
    def submit_workflow(
        self,
        sizes: list[int],
        edges: list[tuple[int, int]],
        wish: dict[str, Any],
        retries: int,
        reruns: int,
    ) -> None:
        wish = {name: value for name, value in wish.items() if name not in NOT_IN_WORKFLOWS}
        if "nodes" in wish:
            wish = {**wish, "cpus": 2}
        names = [f"n{number}" for number in range(len(sizes))]
        after: dict[str, tuple[str, ...]] = {}
        for child, parent in edges:
            if parent < child < len(names):
                after[names[child]] = (*after.get(names[child], ()), names[parent])
        flow = WorkflowSpec(
            jobs=dict.fromkeys(names, spec(**wish)),
            after=after,
            factories=tuple(
                Repeat(jobs=(name,), number=size)
                for name, size in zip(names, sizes, strict=True)
                if size > 1
            ),
            retries=retries,
            reruns=reruns,
        )
        self.workflows.append(self.do(self.mill.workflows.submit(WorkflowSubmission(flow, ANN))))
        self.learn_jobs()

    @precondition(lambda self: self.workflows)
    @rule(pick=_PICK, how=st.sampled_from(["cancel", "rerun", "clone"]))
    def steer_workflow(self, pick: int, how: str) -> None:
        workflow = self.workflows[pick % len(self.workflows)]
        if how == "cancel":
            for job in self.jobs:
                if self.state(job) is _S.LOST:
                    self.end_for_good(job)
            self.do(self.mill.workflows.cancel(ANN, [workflow]))
            return
        with contextlib.suppress(ConflictError):
            self.workflows.append(self.do(getattr(self.mill.workflows, how)(ANN, workflow)))
        self.learn_jobs()

    def learn_jobs(self) -> None:
        """Take up the jobs that workflows have added."""
        known = set(self.jobs) | self.gone
        found = (row[0] for row in rows(self.url, "select id from job order by id"))
        self.jobs += [job for job in found if job not in known]

    @precondition(lambda self: self.jobs)
    @rule(pick=_PICK, count=st.integers(1, 3))
    def cancel(self, pick: int, count: int) -> None:
        ids = list({self.jobs[(pick + n) % len(self.jobs)] for n in range(count)})
        for job in ids:
            if self.state(job) is _S.LOST:
                self.end_for_good(job)
        self.do(self.mill.cancel(*ids))

    @precondition(lambda self: self.jobs)
    @rule(pick=_PICK, count=st.integers(1, 3))
    def retry(self, pick: int, count: int) -> None:
        jobs = {self.jobs[(pick + n) % len(self.jobs)] for n in range(count)}
        # The key of one may stand for another's work by now: then none is retried.
        with suppress(ConflictError):
            self.do(self.mill.retry(*jobs))

    @precondition(lambda self: self.jobs)
    @rule(pick=_PICK)
    def forget(self, pick: int) -> None:
        job = self.jobs[pick % len(self.jobs)]
        try:
            self.do(self.mill.control.forget(EVERYBODY, job))
        except ConflictError:
            assert self.state(job) not in TERMINAL
        else:
            self.jobs.remove(job)
            self.gone.add(job)

    # What agents do.

    @rule(which=_PICK, hot=st.booleans())
    def lease(self, which: int, hot: bool) -> None:
        agent = self.agents[which % 2]
        if self.connected(agent):
            agent.hot = {lease.shape: 2 for lease in agent.holding.values()} if hot else {}
            self.do(agent.ask())
            self.obey(agent)

    @rule()
    def lease_both(self) -> None:
        waiting = [agent for agent in self.agents if self.connected(agent)]
        if waiting:
            self.do(self.mill.ask(*waiting))
            for agent in waiting:
                self.obey(agent)

    @rule(which=_PICK, pick=_PICK)
    def start(self, which: int, pick: int) -> None:
        agent = self.agents[which % 2]
        held = self.of(agent, pick)
        if held is not None and held not in self.started[agent.name]:
            self.began(agent, held)
            if self.connected(agent):
                for gone in self.do(agent.start(held.job)):
                    self.drop(agent, gone)

    @rule(which=_PICK, pick=_PICK, exit_code=st.sampled_from([0, 0, 1, 127]))
    def finish(self, which: int, pick: int, exit_code: int) -> None:
        agent = self.agents[which % 2]
        held = self.of(agent, pick)
        if held is not None and self.connected(agent):
            self.began(agent, held)
            end = agent.end_of(held.job, exit_code=exit_code)
            self.told = [*self.told[-5:], (agent, end)]
            self.drop(agent, held)
            self.do(agent.tell(finished=[end]))

    @rule(which=_PICK, pick=_PICK)
    def give_back(self, which: int, pick: int) -> None:
        agent = self.agents[which % 2]
        held = self.of(agent, pick)
        if held is not None and held not in self.started[agent.name] and self.connected(agent):
            self.do(agent.give_back(held.job))

    @precondition(lambda self: self.told)
    @rule(pick=_PICK)
    def say_again(self, pick: int) -> None:
        agent, end = self.told[pick % len(self.told)]
        if self.connected(agent):
            self.do(agent.tell(finished=[end]))

    @rule(which=_PICK)
    def register(self, which: int) -> None:
        agent = self.agents[which % 2]
        before = agent.held
        self.do(agent.register())
        for gone in before:
            if gone not in agent.held:
                self.started[agent.name].discard(gone)
        self.do(agent.ask())
        self.obey(agent)

    @rule(which=_PICK)
    def agent_dies(self, which: int) -> None:
        agent = self.agents[which % 2]
        self.do(agent.die())
        self.started[agent.name].clear()
        self.do(self.mill.lost_agents.node_died(agent.name))

    # What the world does.

    @rule(seconds=st.sampled_from([1.0, 10.0, 70.0, 700.0]), heard=st.booleans())
    def time_passes(self, seconds: float, heard: bool) -> None:
        self.do(self.mill.after(seconds))
        for agent in self.agents:
            live = self.mill.registry.find(agent.number)
            if heard and live is not None:
                live.seen = self.clock.steady
            elif seconds > RULES.fence_after:
                for held in agent.held:
                    self.drop(agent, held)
        self.do(self.mill.lost_agents.sweep())

    @rule()
    def the_server_restarts(self) -> None:
        self.mill = Mill(self.database, self.clock, self.folder)
        for agent in self.agents:
            agent.mill = self.mill
        self.do(self.mill.open())

    # What must hold.

    @invariant()
    def the_tables_agree(self) -> None:
        if hasattr(self, "url"):
            audit(self.url)

    @invariant()
    def nothing_runs_twice(self) -> None:
        if hasattr(self, "url"):
            a, b = (({(h.job, h.rank) for h in self.started[name]}) for name in "ab")
            assert not a & b, f"both agents run {a & b}"

    def teardown(self) -> None:
        if not hasattr(self, "url"):
            return
        try:
            self.drain()
        finally:
            self.database.close()
            self.runner.close()
            shutil.rmtree(self.folder)

    def drain(self) -> None:
        """Let everything end: only what waits for something that failed may stay."""
        for agent in self.agents:
            self.register(self.agents.index(agent))
        for _ in range(60 + 4 * len(self.jobs)):
            self.lease_both()
            for agent in self.agents:
                for held in agent.held:
                    end = agent.end_of(held.job)
                    self.drop(agent, held)
                    self.do(agent.tell(finished=[end]))
            self.time_passes(31.0, heard=True)
            self.learn_jobs()
        audit(self.url)
        self.learn_jobs()
        left = [job for job in self.jobs if self.state(job) not in TERMINAL]
        assert all(self.state(job) is _S.WAITING for job in left), [
            (job, self.state(job), self.do(self.mill.why(job))) for job in left
        ]

    # Bookkeeping of what runs where.

    def state(self, job: int) -> JobState:
        state: JobState = self.do(self.mill.state(job))
        return state

    def connected(self, agent: FakeAgent) -> bool:
        live = self.mill.registry.find(agent.number)
        return live is not None and live.row.instance == agent.instance

    def of(self, agent: FakeAgent, pick: int) -> Held | None:
        return agent.held[pick % len(agent.held)] if agent.held else None

    def began(self, agent: FakeAgent, held: Held) -> None:
        assert held.attempt >= self.fences.get(held.job, 0), "an attempt older than one begun"
        self.fences[held.job] = held.attempt
        self.started[agent.name].add(held)

    def drop(self, agent: FakeAgent, held: Held) -> None:
        agent.forget(held)
        self.started[agent.name].discard(held)

    def end_for_good(self, job: int) -> None:
        """End what an agent out of reach runs: cancelling a lost job takes the risk on itself."""
        for agent in self.agents:
            for held in agent.held:
                if held.job == job:
                    self.drop(agent, held)

    def obey(self, agent: FakeAgent) -> None:
        for held in agent.heard.kill:
            if held in agent.held:
                end = agent.end_of(held.job, exit_code=-15, reason="cancelled by user")
                self.drop(agent, held)
                self.do(agent.tell(finished=[end]))


QueueMachine.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
TestQueue = QueueMachine.TestCase
