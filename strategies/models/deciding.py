"""What a model would do in a state that somebody describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite

import numpy as np

from engine.models import ACTIONS, Array, Model
from strategies.errors import RegistryError
from strategies.models.card import Actions, Card


@dataclass(frozen=True)
class Decision:
    """What a model decides on one observation.

    action: the best of sell, hold and buy, the first of equal ones; None where it gives a target. values: of each of
    the actions, or of `exposure`, as the model gives them. exposure: the target as a share of equity, or of the position
    in units that is a full one: the value within its bounds, times the size; None where it chooses an action.
    """

    action: str | None
    values: dict[str, float]
    exposure: float | None


def observation(card: Card, state: Mapping[str, float]) -> Array:
    """(1, n) float64: the features of a state in the model's order.

    Raises RegistryError where one is missing, is unknown to the model, or is no finite number.
    """
    unknown = [name for name in state if name not in card.features]
    if unknown:
        near = get_close_matches(unknown[0], card.features, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(card.features)}"
        raise RegistryError(f"state: {card.ref} does not look at {unknown[0]!r}; {hint}")
    missing = [name for name in card.features if name not in state]
    if missing:
        raise RegistryError(f"state: {card.ref} also needs {', '.join(missing)}; give a number for each")
    for name, value in state.items():
        if not isfinite(value):
            raise RegistryError(f"state: {name} is {value}; give a finite number")
    return np.array([[state[name] for name in card.features]], np.float64)


def decide(model: Model, actions: Actions, observation: Array) -> Decision:
    """What the model decides on a (1, n) observation."""
    values = [float(value) for value in model.values(observation)[0]]
    if actions.kind == "discrete":
        return Decision(ACTIONS[int(np.argmax(values))], dict(zip(ACTIONS, values, strict=True)), None)
    target = min(max(values[0], -1.0 if actions.short else 0.0), 1.0)
    full = actions.size.fraction if actions.size.fraction is not None else actions.size.units
    assert full is not None
    return Decision(None, {"exposure": values[0]}, target * full)
