"""The command line: a person's commands over the client library."""
