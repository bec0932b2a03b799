"""The normalisation of observations, fitted to the training span and to nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.models import Array
from envs.lanes import Lanes, Normaliser
from envs.spans import Span
from envs.tapes import Tape

LANES = 64
STEPS = 256  # so many of each lane are looked at, for what depends on the agent
CLIP = 10.0


def fit_normaliser(tapes: Sequence[Tape], spans: Sequence[Span], seed: int) -> Normaliser:
    """Mean and deviation of each feature over the spans.

    Features of the market are taken at each bar of the spans, those of the account as an agent meets them that acts by
    chance. A feature that does not vary is only moved to zero.
    """
    task = tapes[0].task
    series = task.series_features
    market = np.concatenate([tape.features[span.slice] for tape, span in zip(tapes, spans, strict=True)])
    account = _met_by_chance(tapes, spans, seed)
    moments = [
        _moments(market[:, series.index(name)] if name in series else account[:, k])
        for k, name in enumerate(task.features)
    ]
    mean, scale = np.array(moments).T
    return Normaliser(mean.copy(), scale.copy(), CLIP)


def _met_by_chance(tapes: Sequence[Tape], spans: Sequence[Span], seed: int) -> Array:
    lanes = Lanes(tapes, LANES, seed, spans)
    rng = np.random.default_rng(seed)
    seen = [lanes.reset().astype(np.float64)]
    for _ in range(STEPS):
        target = lanes.task.actions.target
        lanes.step(rng.uniform(-1.0, 1.0, LANES) if target else rng.integers(0, 3, LANES))
        seen.append(lanes.observations.astype(np.float64))
    return np.concatenate(seen)


def _moments(values: Array) -> tuple[float, float]:
    deviation = float(values.std())
    varies = deviation > 1e-9 * max(float(np.abs(values).max()), 1e-9)
    return float(values.mean()), 1.0 / deviation if varies else 1.0
