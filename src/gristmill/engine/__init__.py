"""Who provides nodes: so far, this machine."""
