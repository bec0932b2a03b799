"""The same runs in another process: `python -m tests.parity.scenarios` writes what they came to, as JSON.

Worlds drawn from fixed seeds, which reach all order types, policies, limits, actions and actors (a test of the batches
holds that they do), and one longer stretch of bars under every indicator.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys

import numpy as np

from engine.engine import Engine
from engine.policies import Policy
from engine.records import SizeKind
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, StrategySpec
from tests.builders import MINUTE, make_bars
from tests.properties.drawing import FEATURES, SIGNALS, random_world
from tests.properties.worlds import Trace, run

SEEDS = range(185)


def _digest(trace: Trace) -> list[str]:
    columns = [
        trace.events(),
        *(np.concatenate([getattr(p, n) for p in trace.parts]) for n in ("observations", "equity", "grades")),
    ]
    return [trace.hash, *(hashlib.sha256(c.tobytes()).hexdigest() for c in columns), repr(trace.heard)]


def _indicators() -> list[str]:
    """Sixty bars through every policy, each observing everything, with windows of all lengths up to seven."""
    windows = [
        f"{f}_{n}"
        for f in ("sma", "ema", "rsi", "atr", "realized_vol", "volume_z", "return")
        for n in range(1, 8)
    ]
    spec = EngineSpec(
        (InstrumentSpec("A", taker_bps=10.0),),
        tuple(AccountSpec(p.name, 10_000.0) for p in SIGNALS),
        tuple(
            StrategySpec(
                p.name, p.name, ("A",), MINUTE, (*features, *FEATURES, *windows), Policy(p), params,
                SizeKind.FRACTION, 0.9,
            )
            for p, (features, params) in SIGNALS.items()
        ),
    )  # fmt: skip
    rng = np.random.default_rng(5)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.02, 61)))
    bars = [
        (a, max(a, b) * 1.01, min(a, b) * 0.99, b, v)
        for a, b, v in zip(close, close[1:], rng.uniform(0, 1e4, 60), strict=False)
    ]
    engine = Engine(spec)
    part = engine.process(make_bars(bars))
    features = hashlib.sha256(engine.state.features.tobytes()).hexdigest()
    return [features, *_digest(Trace([part], engine.state_hash()))]


def outcomes() -> list[list[str]]:
    """What each scenario came to: the state's hash, digests of all that it told, and what its actors heard."""
    return [_digest(run(random_world(random.Random(seed)))) for seed in SEEDS] + [_indicators()]


if __name__ == "__main__":
    json.dump(outcomes(), sys.stdout)
