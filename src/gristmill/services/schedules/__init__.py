"""Schedules: when their runs come round, whose turn it is, and what follows from a run's end."""
