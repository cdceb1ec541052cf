"""The process of a notebook's job: a fresh kernel executes a copy, which is kept whatever happens.

A cell that fails makes the run an error; the job itself has done its work.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import nbformat

from gristmill.workers.blobs import blobs_at
from gristmill.workers.task_folder import read_question, write_answer

SHOWN = 80
"""Characters kept of each end of a long message."""

DEFAULT_KERNEL = "python3"


def execute(notebook: Any, folder: str) -> str:
    """Execute all cells in order; return what went wrong, empty when nothing did."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    kernel = notebook.metadata.get("kernelspec", {}).get("name") or DEFAULT_KERNEL
    try:
        KernelSpecManager().get_kernel_spec(kernel)
    except NoSuchKernel:
        kernel = DEFAULT_KERNEL
    client = NotebookClient(
        notebook, timeout=None, kernel_name=kernel, resources={"metadata": {"path": folder}}
    )
    try:
        client.execute()
    except CellExecutionError as error:
        return f"{error.ename}: {error.evalue}"
    except (CellTimeoutError, DeadKernelError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def clear(notebook: Any) -> None:
    """Drop what earlier runs left in the copy."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def shortened(message: str) -> str:
    """Return the message, only its ends when it is long."""
    if len(message) <= 2 * SHOWN:
        return message
    return f"{message[:SHOWN]}…{message[-SHOWN:]}"


def main(words: list[str]) -> int:
    """Run the notebook of a task's folder."""
    folder = Path(words[0])
    header = read_question(folder).header
    blobs = blobs_at(header["root"])
    notebook = nbformat.reads(blobs.read(header["notebook"]).decode(), as_version=4)
    clear(notebook)
    started = time.time()
    message = execute(notebook, os.getcwd())
    blobs.write(header["path"], nbformat.writes(notebook, split_lines=False).encode())
    run = {
        "status": "ERROR" if message else "OK",
        "message": shortened(message),
        "started": started,
        "ended": time.time(),
    }
    write_answer(folder, {"run": run}, b"null")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
