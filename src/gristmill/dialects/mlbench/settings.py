"""What an operator may change, and whom anonymous requests stand for."""

from typing import Literal

import msgspec


class MlbenchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The interface's settings.

    user: the core's user that all runs belong to. access: who may ask: clients on this machine,
    anybody, or holders of a token. release, namespace: parts of names. pods: standing worker
    pods; 0 for none outside of runs. max_workers: that may run at once. worker_max_cpu: cores,
    max_bandwidth: Mbit/s, of the form's sliders. max_gpu_per_worker: slots of a host, 0 for 1.
    default_command: what a run without an image does; empty for a short built-in check.
    hook: whether ranks on the node find the module that makes mlbench_core post its metrics here.
    """

    user: str = "mlbench"
    access: Literal["loopback", "anyone", "token"] = "loopback"
    release: str = "gristmill"
    namespace: str = "default"
    pods: int = 2
    max_workers: int = 3
    worker_max_cpu: float = 8.0
    max_gpu_per_worker: int = 0
    max_bandwidth: float = 10_000.0
    default_command: str = ""
    hook: bool = False
