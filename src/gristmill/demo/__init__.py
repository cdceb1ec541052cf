"""``gristmill demo``: the main job end to end, on real input, each claim checked."""
