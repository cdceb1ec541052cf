"""PROMINENCE: container jobs, workflows, objects and keys in JSON over HTTP."""
