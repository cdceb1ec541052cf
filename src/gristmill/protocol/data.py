"""Where workers for tables and models are found, and how long questions and answers are framed."""

CALLS_SOCKET = "data.sock"
TASKS_SOCKET = "tasks.sock"
"""Names in the server's home. Calls share a few processes; each task gets one of its own."""

DATA_LABEL = "gristmill.data"
"""Agents that have such workers carry this label; jobs that need them ask for it."""
