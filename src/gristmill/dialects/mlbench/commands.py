"""A run's command line: placeholders become what each rank knows of itself."""

import re
import shlex

_PLACEHOLDER = re.compile(r"\{(hosts|run_id|rank|backend)\}")
_VARIABLES = {"hosts": "MLBENCH_HOSTS", "run_id": "GRISTMILL_JOB_ID", "rank": "RANK"}


def split(command: str) -> list[str]:
    """Return the words of a command as a shell would see them. Raises ValueError."""
    return shlex.split(command)


def shell_text(words: list[str], *, backend: str, slots: int, hook: str = "") -> str:
    """Return the command of one rank; all else in the words stays as it is.

    slots: how often each host is named in ``{hosts}``. hook: a folder that goes before others that
    Python looks for modules in, where it exists: images do not have it.
    """
    line = " ".join(_word(word, backend) for word in words)
    number = 'export MLBENCH_RUN_ID="$GRISTMILL_JOB_ID"; '
    rank = 'export RANK="${OMPI_COMM_WORLD_RANK:-$RANK}"; '
    return f"{_hosts(slots)}{number}{rank}{_hook(hook)}exec {line}"


def _hosts(slots: int) -> str:
    if slots <= 1:
        return 'export MLBENCH_HOSTS="$GRISTMILL_HOSTS"; '
    repeat = ",".join(["&"] * slots)
    return f'export MLBENCH_HOSTS="$(echo "$GRISTMILL_HOSTS" | sed \'s/[^,]*/{repeat}/g\')"; '


def _hook(folder: str) -> str:
    if not folder:
        return ""
    quoted = shlex.quote(folder)
    return (
        f'if [ -d {quoted} ]; then export PYTHONPATH={quoted}"${{PYTHONPATH:+:$PYTHONPATH}}"; fi; '
    )


def _word(word: str, backend: str) -> str:
    """Quote a word; a placeholder in it is looked up when the rank starts."""
    parts, start = [], 0
    for found in _PLACEHOLDER.finditer(word):
        if found.start() > start:
            parts.append(shlex.quote(word[start : found.start()]))
        name = found.group(1)
        parts.append(shlex.quote(backend) if name == "backend" else f'"${_VARIABLES[name]}"')
        start = found.end()
    if start < len(word) or not parts:
        parts.append(shlex.quote(word[start:]))
    return "".join(parts)
