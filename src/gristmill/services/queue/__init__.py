"""The queue: every way a job comes in, moves on and ends."""
