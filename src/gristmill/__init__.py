"""Gristmill: one self-hosted server for research and ML compute."""

__version__ = "0.1.0"
