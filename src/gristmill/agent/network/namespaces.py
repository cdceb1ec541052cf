"""Network namespaces, each held by a descriptor: what nobody holds, the kernel removes."""

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_NEW_NETWORK = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def current() -> int:
    """Return a descriptor of the namespace that this thread is in."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def fresh() -> int:
    """Move this thread into a new namespace; return its descriptor. Raises OSError."""
    _check(_libc.unshare(_NEW_NETWORK), "unshare")
    return current()


def enter(namespace: int) -> None:
    """Move this thread into a namespace. Raises OSError."""
    _check(_libc.setns(namespace, _NEW_NETWORK), "setns")


@contextmanager
def inside(namespace: int) -> Iterator[None]:
    """Be in a namespace for a while."""
    before = current()
    enter(namespace)
    try:
        yield
    finally:
        enter(before)
        os.close(before)


def configure(program: str, lines: Sequence[str]) -> None:
    """Have ``ip`` or ``tc`` do what lines say, in this thread's namespace. Raises OSError."""
    done = subprocess.run(
        [program, "-batch", "-"], input="\n".join(lines) + "\n", capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    if done.returncode != 0:
        raise OSError(f"{program}: {(done.stderr or done.stdout).strip()[:500]}")


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
