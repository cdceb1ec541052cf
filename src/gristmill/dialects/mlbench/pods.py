"""Worker pods: the standing pool, those of a run, and others that were heard of."""

import msgspec

from gristmill.dialects.mlbench.settings import MlbenchSettings

PREFIX = "pod:"
"""Of the sources that pods' metrics have."""


class Pod(msgspec.Struct, frozen=True):
    """One worker as clients see it. run: the run whose own it is."""

    name: str
    phase: str
    ip: str
    labels: str


def standing_pods(settings: MlbenchSettings, ip: str) -> list[Pod]:
    """Return the pool that is there at all times."""
    return [
        Pod(standing_name(settings, number), "Running", ip, labels(settings))
        for number in range(settings.pods)
    ]


def standing_name(settings: MlbenchSettings, number: int) -> str:
    """Return the name of a worker of the pool."""
    return f"{settings.release}-mlbench-worker-{number}"


def run_pod_name(settings: MlbenchSettings, run: str, rank: int) -> str:
    """Return the name of the worker that a run has for itself."""
    return f"{run}-mlbench-worker-{settings.release}-{rank}".lower()


def is_run_pod(settings: MlbenchSettings, name: str) -> bool:
    """Whether this is the name of some run's own worker."""
    head, marker, number = name.rpartition(f"-mlbench-worker-{settings.release.lower()}-")
    return bool(head and marker) and number.isdigit()


def external_pod(name: str) -> Pod:
    """Return a pod that only its metrics tell of."""
    return Pod(name, "Unknown", "", "{'app': 'mlbench', 'component': 'worker'}")


def labels(settings: MlbenchSettings, run: str | None = None) -> str:
    """Return the labels as the text of a Python dict, which is what clients parse."""
    found = {"app": "mlbench", "component": "worker", "release": settings.release}
    if run is not None:
        found["set"] = run
    return repr(found)


def source_of(pod: str) -> str:
    """Return the metrics source of a pod."""
    return PREFIX + pod
