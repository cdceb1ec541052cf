"""The REST interface of wr: shell commands with dependencies and learned requirements."""
