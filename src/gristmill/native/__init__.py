"""The native interface: everything, in native terms, under /v1."""
