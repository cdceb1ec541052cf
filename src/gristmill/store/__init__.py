"""The durable state: named SQL, one writer with group commit, many readers."""
