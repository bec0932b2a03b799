"""A live session: inputs onto the tape, through the engine, into the store, and only then to whoever listens."""
