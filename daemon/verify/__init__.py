"""Replays a recorded session from its tape, and holds all that the database has against what comes out."""
