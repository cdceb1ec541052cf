"""What is reported about a job in a sandbox besides how it ended."""

import functools
import shutil
import subprocess

from gristmill.agent.member import Member
from gristmill.domain.outcome import AttemptDetails
from gristmill.domain.resources import CPU_SHARES

_PROGRAMS = {
    "bubblewrap": "bwrap",
    "charliecloud": "ch-run",
    "apptainer": "apptainer",
}


def details_of(member: Member) -> AttemptDetails | None:
    """Return what is known beyond the usual; None for a job without a sandbox."""
    sandbox = member.sandbox
    if sandbox is None:
        return None
    need, (vendor, model, clock) = member.need, processor()
    return AttemptDetails(
        sandbox.stage_in,
        sandbox.stage_out,
        sandbox.outputs,
        need.cpu_shares / CPU_SHARES,
        need.memory,
        need.disk,
        member.spec.resources.nodes,
        vendor,
        model,
        clock,
        runtime_version(sandbox.facts.get("runtime", "")),
    )


@functools.cache
def processor() -> tuple[str, str, str]:
    """Return the vendor, model and clock in MHz of this node's first processor, where known."""
    known: dict[str, str] = {}
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            name, separator, value = line.partition(":")
            if not separator:
                break
            known[name.strip()] = value.strip()
    return known.get("vendor_id", ""), known.get("model name", ""), known.get("cpu MHz", "")


@functools.cache
def runtime_version(runtime: str) -> str:
    """Return an engine's name with its version, where it tells."""
    program = shutil.which(_PROGRAMS.get(runtime, runtime)) if runtime else None
    if program is None or runtime == "host":
        return runtime
    done = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=10, check=False
    )
    words = (done.stdout or done.stderr).split()
    version = next((word for word in words if word[:1].isdigit()), "")
    return f"{runtime} {version}".strip()
