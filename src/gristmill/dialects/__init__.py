"""Adapters: each speaks the REST interface of an existing system over the one core."""
