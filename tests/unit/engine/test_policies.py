"""What each compiled policy wants, on each side of its thresholds."""

from typing import Any

import numpy as np
import pytest

from engine.policies import Policy, Signal, signal_of
from engine.records import RECORD_TYPES
from tests.builders import plain

FLAT, LONG, KEEP = Signal.FLAT, Signal.LONG, Signal.KEEP


@pytest.mark.parametrize(
    ("policy", "params", "observation", "signal"),
    [
        (Policy.BUY_AND_HOLD, (), (1.0,), LONG),
        (Policy.SMA_CROSS, (), (2.0, 1.0), LONG),
        (Policy.SMA_CROSS, (), (1.0, 1.0), FLAT),  # above, not equal
        (Policy.SMA_CROSS, (), (1.0, 2.0), FLAT),
        (Policy.MOMENTUM, (0.05,), (0.051,), LONG),
        (Policy.MOMENTUM, (0.05,), (0.05,), KEEP),
        (Policy.MOMENTUM, (0.05,), (-0.05,), KEEP),
        (Policy.MOMENTUM, (0.05,), (-0.051,), FLAT),
        (Policy.MOMENTUM, (0.0,), (0.001,), LONG),
        (Policy.MOMENTUM, (0.0,), (0.0,), FLAT),
        (Policy.MOMENTUM, (0.0,), (-0.001,), FLAT),
        (Policy.RSI_REVERSION, (30.0, 55.0), (29.9,), LONG),
        (Policy.RSI_REVERSION, (30.0, 55.0), (30.0,), KEEP),
        (Policy.RSI_REVERSION, (30.0, 55.0), (55.0,), KEEP),
        (Policy.RSI_REVERSION, (30.0, 55.0), (55.1,), FLAT),
    ],
)
def test_signal(
    policy: Policy, params: tuple[float, ...], observation: tuple[float, ...], signal: Signal
) -> None:
    strategy: Any = np.zeros(1, RECORD_TYPES.strategies).view(np.recarray)[0]
    strategy.policy = policy
    for name, value in zip(("p0", "p1", "p2"), params, strict=False):
        setattr(strategy, name, value)
    assert plain(signal_of)(strategy, np.array(observation)) == signal
