"""MPI tasks: the words of an mpirun that starts a task's processes."""

import os
import shutil
from collections.abc import Iterable, Sequence

from gristmill.containers.namespaces import own_processes

_PROGRAMS = {
    "openmpi": ("mpirun.openmpi", "mpirun"),
    "mpich": ("mpirun.mpich", "mpiexec.hydra", "mpirun"),
    "intelmpi": ("mpiexec.hydra", "mpirun"),
}
_PATH = "/opt/intel/oneapi/mpi/latest/bin:/usr/local/bin:/usr/bin:/bin"


def launcher(flavour: str) -> str | None:
    """Return the program that starts the processes of this flavour, None without one."""
    for name in _PROGRAMS[flavour]:
        found = shutil.which(name) or shutil.which(name, path=_PATH)
        if found is not None and (name != "mpirun" or _is(flavour, found)):
            return found
    return None


def _is(flavour: str, program: str) -> bool:
    """Whether the program called just mpirun is of this flavour."""
    real = os.path.realpath(program)
    if flavour == "openmpi":
        return not any(word in real for word in ("mpich", "hydra", "intel"))
    return flavour in real or "hydra" in real or (flavour == "intelmpi" and "intel" in real)


def mpi_words(
    flavour: str,
    program: str,
    words: Sequence[str],
    *,
    per_node: int,
    hosts: Sequence[str],
    variables: Iterable[str],
    session: str,
) -> list[str]:
    """Return the words that start the task's processes on all nodes.

    per_node: processes on each. hosts: one a node; when all are the same, everything runs here.
    variables: names to hand on to other hosts. session: folder that all processes here see.
    """
    here = len(set(hosts)) == 1
    total = per_node * len(hosts)
    if flavour == "openmpi":
        call = _open_mpi(program, total, per_node, hosts, variables, session, here=here)
    else:
        call = [program, "-n", str(total), "-ppn", str(per_node), "-genvall"]
        call += ["-launcher", "fork"] if here else ["-hosts", ",".join(hosts)]
    prefix = own_processes(as_root=False) if here else []
    return [*prefix, *call, *words]


def _open_mpi(
    program: str,
    total: int,
    per_node: int,
    hosts: Sequence[str],
    variables: Iterable[str],
    session: str,
    *,
    here: bool,
) -> list[str]:
    call = [program, "-np", str(total), "--oversubscribe", "--bind-to", "none"]
    call += ["--mca", "orte_tmpdir_base", session]
    # Ranks in user namespaces of their own may not read each other's memory.
    call += ["--mca", "btl_vader_single_copy_mechanism", "none"]
    if here:
        call += ["--mca", "plm", "isolated"]
    else:
        call += ["--host", ",".join(f"{host}:{per_node}" for host in hosts)]
    if os.geteuid() == 0:
        call.append("--allow-run-as-root")
    for name in variables:
        call += ["-x", name]
    return call
