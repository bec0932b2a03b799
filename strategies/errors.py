"""What goes wrong with strategies.

StrategyError           a strategy's own code raised; names strategy, callback, engine time and instrument
+-- StrategyLoadError   the class that a configuration names cannot be used
    +-- RegistryError   a trained model cannot be found, read, stored, promoted or used
ContextError            a strategy asked its context for something impossible; a ValueError
"""

from __future__ import annotations

from datetime import UTC, datetime

from engine.records import NO_TIME, SECOND


class StrategyError(Exception):
    """A strategy's own code raised. What it raised is the `__cause__`."""


class StrategyLoadError(StrategyError):
    """The class that a configuration names cannot be found, imported or used."""


class RegistryError(StrategyLoadError):
    """A trained model cannot be found, read, stored, promoted or used as asked; the message says what to do."""


class ContextError(ValueError):
    """A strategy asked its context for something impossible: an unknown instrument, half a lot, a negative price."""


def iso_utc(ns: int) -> str:
    """A time in ns UTC as ISO 8601, with as many decimals as it needs; NO_TIME is "before the first row"."""
    if ns == NO_TIME:
        return "before the first row"
    seconds, rest = divmod(ns, SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    decimals = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{text}{decimals}Z"
