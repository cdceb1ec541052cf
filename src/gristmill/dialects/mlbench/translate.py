"""Runs as jobs, and jobs as runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gristmill.training
from gristmill.dialects.mlbench import dates
from gristmill.dialects.mlbench.commands import shell_text, split
from gristmill.dialects.mlbench.pods import labels, run_pod_name, source_of, standing_name
from gristmill.dialects.mlbench.requests import SEED, RunFacts
from gristmill.dialects.mlbench.settings import MlbenchSettings
from gristmill.domain.bandwidth import ENFORCED, NOT_ENFORCED
from gristmill.domain.job import GoalLine, JobSpec, Task
from gristmill.domain.resources import Resources
from gristmill.domain.state import JobState
from gristmill.services.queue.views import AttemptView

MODEL_PORT = "mlbench port 29500"
"""The port that the training library opens on the first host, whatever it is told."""

HOOK_FOLDER = str(Path(gristmill.training.__file__).parent / "hook")
"""Holds the ``sitecustomize`` that points mlbench_core at this server."""

GOAL, GOAL_GRACE = "Goal Reached!", 30.0
ALONE = "mlbench seed run"
LEAST_BANDWIDTH = 0.001
"""Mbit/s."""

_WORDS = {
    JobState.COMPLETE: "FINISHED",
    JobState.RUNNING: "STARTED",
    JobState.LOST: "STARTED",
    JobState.BURIED: "FAILED",
    JobState.CANCELLED: "FAILED",
}


class Run(NamedTuple):
    """A run as the core knows it. Times are epoch seconds."""

    id: int
    facts: RunFacts
    state: JobState
    attempt: int
    created_at: float
    ended_at: float | None

    @property
    def ended(self) -> bool:
        """Whether nothing of it will run any more."""
        return self.word in {"FINISHED", "FAILED"}

    @property
    def word(self) -> str:
        """Its state in the words of the older generation."""
        waiting = "STARTED" if self.facts.profile == SEED else "INITIALIZED"
        return _WORDS.get(self.state, waiting)


def pods_of(facts: RunFacts, settings: MlbenchSettings) -> tuple[str, ...]:
    """Return the names of a run's workers, by rank."""
    if facts.profile == SEED:
        return tuple(standing_name(settings, rank) for rank in range(facts.workers))
    return tuple(run_pod_name(settings, facts.name, rank) for rank in range(facts.workers))


def job_of(facts: RunFacts, settings: MlbenchSettings, *, cores: float, gpus: int) -> JobSpec:
    """Return the job of a run. cores, gpus: of all nodes together.

    Workers share the nodes: each takes a part of the cores such that as many as may run at once
    do, and what a client asks for is a cap, told to the ranks as their number of threads.
    """
    members = facts.workers if facts.everywhere else 1
    share = int(cores * 1000 / max(settings.max_workers, members)) / 1000
    slots = settings.max_gpu_per_worker or 1
    backend = facts.backend
    hook = HOOK_FOLDER if settings.hook else ""
    text = shell_text(split(facts.command), backend=backend, slots=slots, hook=hook)
    parallel = under_mpirun(facts)
    return JobSpec(
        command=None if parallel else text,
        tasks=(_mpi_task(text),) if parallel else (),
        # What ranks in images share, they share through its folders.
        sandbox=parallel,
        name=facts.name,
        group="mlbench",
        image=facts.image or None,
        resources=Resources(
            cpus=share,
            memory=0,
            nodes=members,
            gpus=1 if facts.gpu and gpus >= members else 0,
        ),
        env={"OMP_NUM_THREADS": str(max(1, int(facts.cpus)))},
        facts={"MLBENCH_API_URL": "{url}/api"},
        bandwidth=max(facts.bandwidth, LEAST_BANDWIDTH),
        distributed=True,
        usage_sources=tuple(source_of(pod) for pod in facts.pods),
        goal=GoalLine(text=GOAL, grace=GOAL_GRACE),
        mutex=MODEL_PORT if backend in {"gloo", "nccl"} and facts.image else "",
        key=ALONE if facts.profile == SEED else None,
        kill_over_memory=False,
    )


def under_mpirun(facts: RunFacts) -> bool:
    """Whether an mpirun starts the ranks, on a node that has one."""
    return facts.backend == "mpi" and bool(facts.image) and not facts.gpu


def _mpi_task(text: str) -> Task:
    return Task(argv=("/bin/sh", "-c", text), kind="openmpi", processes=1)


def write_run(
    run: Run, *, seed: bool, metadata: dict[str, Any], fresh: bool = False
) -> dict[str, Any]:
    """Return a run as clients see it. seed: in the older spelling. fresh: it was just created."""
    facts = run.facts
    unqueued = fresh and facts.profile != SEED
    return {
        "id": run.id,
        "name": facts.name,
        "created_at": dates.write_seconds(run.created_at),
        "finished_at": dates.write_seconds(run.ended_at) if run.ended else None,
        "state": run.word if seed else run.word.lower(),
        "job_id": "" if unqueued else facts.uuid,
        "job_metadata": metadata,
        "num_workers": facts.workers,
    }


def write_metadata(
    run: Run,
    settings: MlbenchSettings,
    attempts: Sequence[AttemptView],
    hosts: Sequence[str],
    *,
    limited: bool,
) -> dict[str, Any]:
    """Return what is known of a run's execution, without its output.

    limited: whether its ranks may only send each other so much.
    """
    facts = run.facts
    current = [attempt for attempt in attempts if attempt.number == run.attempt]
    mark = None if facts.profile == SEED else facts.name
    shown = labels(settings, mark)
    first = next((attempt for attempt in current if attempt.rank == 0), None)
    return {
        "command": command_of(facts, hosts, run.id),
        "master_name": facts.pods[0] if facts.pods else "",
        "pods": [
            [_host(hosts, rank), settings.namespace, pod, shown]
            for rank, pod in enumerate(facts.pods)
        ],
        "workhorse_pid": first.pid if first else None,
        "exit_codes": {str(attempt.rank): attempt.exit_code for attempt in current},
        "hosts": list(hosts),
        "backend": facts.backend,
        "image": facts.shown_image,
        "cpu_limit": f"{facts.cpus * 1000}m",
        "gpu_enabled": facts.gpu,
        "light_target": facts.light,
        "use_horovod": facts.horovod,
        "run_on_all_nodes": facts.everywhere,
        "max_bandwidth": facts.bandwidth,
        "bandwidth": ENFORCED if limited else NOT_ENFORCED,
        "reason": next((a.message or a.reason for a in current if a.reason), None),
    }


def command_of(facts: RunFacts, hosts: Sequence[str], run: int) -> str:
    """Return the command line as the first rank has it."""
    line = facts.command
    values = {
        "hosts": ",".join(hosts),
        "run_id": str(run),
        "rank": "0",
        "backend": facts.backend,
    }
    for name, value in values.items():
        line = line.replace("{" + name + "}", value)
    return line


def _host(hosts: Sequence[str], rank: int) -> str:
    return hosts[rank] if rank < len(hosts) else ""
