"""A token that does not show itself."""

from __future__ import annotations


class Secret:
    """Holds a token: printing it, also within other things, does not show it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The token itself, for the request that needs it and nothing else."""
        return self._value

    def clean(self, text: str, most: int = 200) -> str:
        """A text from outside without the token, on one line, of at most so many characters."""
        hidden = text.replace(self._value, "(the token)") if self._value else text
        shown = "".join(c if c.isprintable() else " " for c in hidden)
        return shown if len(shown) <= most else shown[: most - 3] + "..."

    def __repr__(self) -> str:
        return "Secret(...)"
