"""Papertape's speed beside that of the systems which a user might pick instead."""
