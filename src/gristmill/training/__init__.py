"""Small training programs that come with Gristmill: they need Python, and use NumPy if it is there.

They show that distributed runs work on a cluster, and what a run's metrics look like.
"""
