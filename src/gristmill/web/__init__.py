"""Pages for people: the dashboard under /ui and the documentation of the interface at /docs."""
