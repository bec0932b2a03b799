"""The YAML of a run: read with its lines, checked with its meaning, turned into what the engine and the feed need."""
