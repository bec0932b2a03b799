"""A running session by HTTP: how it is, to whoever asks on this machine; and what operators do, by a socket of their own."""
