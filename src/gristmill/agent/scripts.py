"""Scripts that come as text and are executed as files, without a file to tidy up after."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

SCRIPT_DESCRIPTOR = 9
"""Where the child has its script open; shells let scripts use 3 to 8 as they like."""

SCRIPT_PATH = f"/proc/self/fd/{SCRIPT_DESCRIPTOR}"
SHEBANG = "#!"
SHELL = "/bin/sh"


def script_words(script: str) -> list[str]:
    """Return what to execute: the script itself, or a shell for one that names no interpreter."""
    return [SCRIPT_PATH] if script.startswith(SHEBANG) else [SHELL, SCRIPT_PATH]


@contextmanager
def open_script(script: str) -> Iterator[int]:
    """Give a descriptor to read and execute the script from."""
    descriptor = _readable(script)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _readable(script: str) -> int:
    written = os.memfd_create("script", os.MFD_CLOEXEC)
    try:
        with os.fdopen(written, "wb", closefd=False) as file:
            file.write(script.encode("utf-8", "surrogatepass"))
        # Nothing that is open for writing may be executed.
        return os.open(f"/proc/self/fd/{written}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(written)
