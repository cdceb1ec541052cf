"""The types and rules of the queue: pure code, no input or output."""
