"""Workflows: jobs that wait for one another, submitted, watched and ended as one."""
