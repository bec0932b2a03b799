"""Trained models that were never trained, for tests that need some in a registry."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from engine.models import Network, QTable
from strategies.models import Registry
from strategies.models.card import make_card

DAY = 86_400 * 10**9


def store_model(
    folder: Path, name: str, features: tuple[str, ...], actions: dict[str, Any], **card: Any
) -> str:
    """Put a model of these features into the registry in `folder`; its NAME@VERSION.

    It is a table that always buys where the actions are discrete, else a network whose target is always 1.
    """
    k = len(features)
    model: QTable | Network
    if actions["kind"] == "discrete":
        model = QTable((np.zeros(1),) * k, np.tile([0.0, 1.0, 2.0], (2**k, 1)))
    else:
        model = Network(np.zeros(k), np.ones(k), 10.0, (np.zeros((1, k)),), (np.ones(1),))
    fields = {
        "created": datetime(2024, 1, 1, tzinfo=UTC),
        "code_version": "1",
        "algorithm": "qlearning",
        "timeframe_ns": DAY,
        **card,
    }
    return Registry(folder).store(model, make_card(name=name, features=features, actions=actions, **fields))
