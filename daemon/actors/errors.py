"""What goes wrong with asynchronous actors.

StrategyError
+-- ActorError         an actor is gone; the message names it and says why
    +-- ActorHungError it has not answered, or not lived, for its timeout
SignalError            an actor gave a signal that cannot be used; it itself goes on
"""

from __future__ import annotations

from strategies.errors import StrategyError


class ActorError(StrategyError):
    """An asynchronous actor cannot begin, raised, or its process ended. `trace`: where, as Python says it; or empty."""

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


class ActorHungError(ActorError):
    """An asynchronous actor has not answered for its timeout."""


class SignalError(ValueError):
    """A signal that cannot be used: not finite, of an unknown instrument, over before it begins."""
