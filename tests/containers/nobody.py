"""Run a part of a test as an ordinary user."""

import os
import sys
import traceback
from collections.abc import Callable

NOBODY = 65534


def as_nobody(work: Callable[[], None]) -> None:
    """Run work in a child process of the user nobody; fail when it raises."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
