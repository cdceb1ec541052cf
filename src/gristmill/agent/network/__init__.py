"""Networks of runs whose ranks may only send so much to each other."""
