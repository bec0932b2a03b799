"""Two small models and a card, whose numbers the tests work out by hand."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from engine.models import Network, QTable
from strategies.models.card import Card, make_card


def table(**changes: Any) -> QTable:
    """RSI in three bins, exposure in two: six states, with the rows of q in the order (0,0), (0,1), (1,0), ..."""
    q = np.array([[0, 1, 2], [0, 0, 0], [5, 1, 2], [0, 3, 1], [1, 0, 0], [9, 8, 7]], np.float64)
    parts: dict[str, Any] = {"edges": (np.array([30.0, 70.0]), np.array([0.5])), "q": q}
    return QTable(**parts | changes)


def network(**changes: Any) -> Network:
    """One layer, one output: 2 (x0 - 1) - 0.5 (x1 - 3) * 4 + 0.25."""
    parts: dict[str, Any] = {
        "mean": np.array([1.0, 3.0]),
        "scale": np.array([1.0, 4.0]),
        "clip": 10.0,
        "weights": (np.array([[2.0, -0.5]]),),
        "biases": (np.array([0.25]),),
    }
    return Network(**parts | changes)


def card(**changes: Any) -> Card:
    fields: dict[str, Any] = {
        "name": "rsi",
        "created": datetime(2026, 1, 2, tzinfo=UTC),
        "code_version": "0.1.0",
        "algorithm": "qlearning",
        "features": ["rsi_14", "exposure"],
        "timeframe_ns": 86_400 * 10**9,
        "instruments": ["AAPL"],
        "actions": {"kind": "discrete", "size": {"fraction": 0.95}},
        "config_hash": "c0ffee",
        "data_hash": "da7a",
        "seed": 7,
        "metrics": {"test": {"return": 0.1, "sharpe": 0.8, "fills": 12, "buy_and_hold": 0.2}},
        "controls": {"passed": True},
        "deflated_sharpe": 0.96,
    }
    return make_card(**fields | changes)


def target_card(**changes: Any) -> Card:
    fields: dict[str, Any] = {"actions": {"kind": "target", "size": {"fraction": 0.5}}, "algorithm": "ppo"}
    return card(**fields | changes)
