"""The normalisation of observations, fitted to what an agent meets on its training span and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs.lanes import Lanes, Normaliser
from envs.spans import Span
from envs.tapes import Tape

LANES = 64
STEPS = 256  # so many of each lane are looked at
CLIP = 10.0


def fit_normaliser(tapes: Sequence[Tape], spans: Sequence[Span], seed: int) -> Normaliser:
    """Mean and deviation of each feature over the spans, as an agent meets them that acts by chance.

    A feature that does not vary is only moved to zero.
    """
    lanes = Lanes(tapes, LANES, seed, spans)
    rng = np.random.default_rng(seed)
    seen = [lanes.reset().astype(np.float64)]
    target = lanes.task.actions.target
    for _ in range(STEPS):
        actions = rng.uniform(-1.0, 1.0, LANES) if target else rng.integers(0, 3, LANES)
        lanes.step(actions)
        seen.append(lanes.observations.astype(np.float64))
    all_seen = np.concatenate(seen)
    deviation = all_seen.std(axis=0)
    varies = deviation > 1e-9 * np.maximum(np.abs(all_seen).max(axis=0), 1e-9)
    return Normaliser(
        all_seen.mean(axis=0), np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 1.0), CLIP
    )
