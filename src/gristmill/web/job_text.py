"""A job's commands as text for people."""

from gristmill.domain.job import JobSpec, Task, tasks_of

COMMAND_SHOWN = 200
"""Characters of a command in a table."""


def task_text(task: Task, image: str | None) -> str:
    """Return what a task runs."""
    return task.command or " ".join(task.argv) or task.script or task.image or image or ""


def command_text(spec: JobSpec) -> str:
    """Return the first task, shortened, and how many follow it."""
    tasks = tasks_of(spec)
    text = task_text(tasks[0], spec.image)
    if len(text) > COMMAND_SHOWN:
        text = text[: COMMAND_SHOWN - 1] + "…"
    return text if len(tasks) == 1 else f"{text}  (+{len(tasks) - 1} more)"
