"""The messages between agents and the server: msgpack, versioned, nothing else shared."""
