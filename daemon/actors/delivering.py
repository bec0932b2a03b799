"""How strategies hear a signal: in a backtest, live, and in a replay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from daemon.actors.signals import heard

if TYPE_CHECKING:
    from engine.engine import Engine, Events
    from strategies.types import Signal


class Listener(Protocol):
    """A strategy's actor that can be told of signals."""

    def signal(self, signal: Signal) -> None:
        """An asynchronous actor spoke."""


def deliver(engine: Engine, listeners: Iterable[Listener], content: Mapping[str, Any]) -> Events:
    """Let these hear a signal, the content of its payload, right behind its row; what they caused.

    All hear it before any hears what became of the orders that it led to. Raises what they raise.
    """
    signal = heard(content)

    def question() -> None:
        for listener in listeners:
            listener.signal(signal)

    return engine.ask(question)
