"""Metrics: points come in one by one, rest in chunks, and are read whole or summarised."""
