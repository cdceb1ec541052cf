"""The process on each node that leases jobs, runs them, limits, measures and reports."""
