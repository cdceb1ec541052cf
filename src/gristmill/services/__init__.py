"""The meaning of things: what submitting, leasing, finishing and cancelling do."""
