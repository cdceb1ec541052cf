"""MLBench's interface: pods, metrics and distributed runs."""
