"""A signal as an actor gives it becomes what stands on the tape, and that what a strategy hears."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from daemon.actors.errors import SignalError
from strategies.asynchronous import Answer
from strategies.types import Signal

MOST_DATA = 65_536  # characters of a signal's data as JSON
_LATEST = 2**63 - 1


def content(signal: Signal, actor: str, known: Collection[str], ts: int, holds: int) -> dict[str, Any]:
    """A signal as the content of a payload `signal`, JSON of its own.

    known: the session's instruments. ts: what it is the answer to. holds: how long it does where it does not say, ns.
    Raises SignalError.
    """
    if signal.instrument is not None and signal.instrument not in known:
        raise SignalError(f"there is no instrument {signal.instrument!r}; there are {', '.join(known)}")
    value = _number("value", signal.value)
    low, high = (
        None if n is None else _number(what, n) for what, n in (("low", signal.low), ("high", signal.high))
    )
    if low is not None and high is not None and low > high:
        raise SignalError(f"its low, {low:g}, is above its high, {high:g}")
    until = signal.until or ts + holds
    if not isinstance(until, int) or not ts <= until <= _LATEST:
        raise SignalError(f"it holds until {until!r}, which is no time in ns from {ts} on, when it begins")
    return {
        "actor": actor,
        "instrument": signal.instrument,
        "ts": ts,
        "until": until,
        "value": value,
        "low": low,
        "high": high,
        "data": _data(signal.data),
    }


def heard(given: Mapping[str, Any]) -> Signal:
    """What strategies hear of the content of a payload `signal`."""
    return Signal(**given)


def answers(given: Answer, actor: str) -> Iterable[Signal]:
    """The signals that `on_bar` gave. Raises TypeError where it gave something else."""
    if given is None:
        return ()
    several = list(given) if isinstance(given, Iterable) and not isinstance(given, Signal) else [given]
    for signal in several:
        if not isinstance(signal, Signal):
            raise TypeError(
                f"actor {actor!r} gave {signal!r}; give a strategies.Signal, a list of them, or None"
            )
    return several


def _number(what: str, given: Any) -> float:
    try:
        number = float(given)
    except (TypeError, ValueError):
        raise SignalError(f"its {what} is {given!r}, which is no number") from None
    if not math.isfinite(number):
        raise SignalError(f"its {what} is {number}; it must be finite")
    return number


def _data(given: Mapping[str, Any]) -> Any:
    # as JSON gives it back, so that it is heard live as a replay hears it
    try:
        text = json.dumps(dict(given), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SignalError(f"its data cannot be written as JSON: {error}") from None
    if len(text) > MOST_DATA:
        raise SignalError(f"its data are {len(text):,} characters as JSON; at most {MOST_DATA:,} fit")
    return json.loads(text)
