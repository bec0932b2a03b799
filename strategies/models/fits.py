"""Whether a trained model sees what it was trained to see."""

from __future__ import annotations

from collections.abc import Sequence

from strategies.errors import RegistryError
from strategies.models.card import Card

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def check_fits(card: Card, features: Sequence[str], timeframe_ns: int | None = None) -> None:
    """Raise RegistryError, with what differs, where a strategy gives a model other features or bars than it learned on.

    features: of the strategy's observation, in order. timeframe_ns: of the bars that it decides on; None: not compared.
    """
    differs = list(differences(card.features, features))
    if timeframe_ns is not None and timeframe_ns != card.timeframe_ns:
        differs.append(f"it decides on bars of {lasting(card.timeframe_ns)}, not {lasting(timeframe_ns)}")
    if differs:
        raise RegistryError(
            f"model {card.ref} does not fit: {'; '.join(differs)}; give it what it was trained on, or train another"
        )


def differences(learned: Sequence[str], given: Sequence[str]) -> list[str]:
    """What differs between the features that a model learned and those that it is given; nothing where all is equal."""
    missing = [name for name in learned if name not in given]
    surplus = [name for name in given if name not in learned]
    differs = [f"it needs {', '.join(missing)}"] if missing else []
    differs += [f"it does not know {', '.join(surplus)}"] if surplus else []
    if not differs and tuple(learned) != tuple(given):
        differs.append(f"its features are in the order {', '.join(learned)}, not {', '.join(given)}")
    return differs


def lasting(ns: int) -> str:
    """How long bars last, as configurations write it: 1d, 90m, 500ms."""
    for unit, seconds in _UNITS:
        if ns % (seconds * 10**9) == 0:
            return f"{ns // (seconds * 10**9)}{unit}"
    return f"{ns / 1e6:g}ms"
