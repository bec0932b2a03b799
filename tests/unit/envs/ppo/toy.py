"""Lanes of a world in a few lines of numpy, with the interface of envs/lanes.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class ToyLanes:
    """Each observation is noise whose first number says what to do: a buy earns it, a sell its opposite, a hold nothing.

    An episode ends by its rules where the second number is above 1.5 (about 1 in 15), and is cut off after `length` steps.
    """

    def __init__(self, n: int, k: int = 4, seed: int = 0, length: int = 12, target: bool = False) -> None:
        self.n = n
        self.length = length
        self.target = target
        self.task = SimpleNamespace(actions=SimpleNamespace(target=target, short=True))
        self.normaliser = SimpleNamespace(
            mean=np.linspace(-1.0, 2.0, k), scale=np.linspace(0.5, 3.0, k), clip=2.0
        )
        self.rng = np.random.default_rng(seed)
        self.observations = np.zeros((n, k), np.float32)
        self.final_observations = np.zeros((n, k), np.float32)
        self.rewards = np.zeros(n, np.float32)
        self.terminated = np.zeros(n, bool)
        self.truncated = np.zeros(n, bool)
        self.ages = np.zeros(n, np.int64)

    def reset(self) -> Array:
        self.ages[:] = 0
        self.observations[:] = self.rng.standard_normal(self.observations.shape)
        return self.observations

    def step(self, actions: Array) -> int:
        assert actions.shape == (self.n,)
        direction = actions if self.target else actions - 1
        self.rewards[:] = direction * self.observations[:, 0]
        self.ages += 1
        self.observations[:] = self.rng.standard_normal(self.observations.shape)
        self.terminated[:] = self.observations[:, 1] > 1.5
        self.truncated[:] = self.ages >= self.length
        over = self.terminated | self.truncated
        self.final_observations[over] = self.observations[over]
        self.final_observations[~over] = np.nan  # where no episode has ended they mean nothing
        self.observations[over] = self.rng.standard_normal((int(over.sum()), self.observations.shape[1]))
        self.ages[over] = 0
        return int(over.sum())

    def save(self) -> dict[str, Array]:
        state = self.rng.bit_generator.state["state"]
        words = [
            state["state"] >> 64,
            state["state"] & (2**64 - 1),
            state["inc"] >> 64,
            state["inc"] & (2**64 - 1),
        ]
        return {
            "rng": np.array(words, np.uint64),
            "ages": self.ages.copy(),
            "observations": self.observations.copy(),
        }

    def load(self, saved: dict[str, Array]) -> None:
        a, b, c, d = map(int, saved["rng"])
        state: Any = self.rng.bit_generator.state
        state["state"] = {"state": a << 64 | b, "inc": c << 64 | d}
        self.rng.bit_generator.state = state
        self.ages[:] = saved["ages"]
        self.observations[:] = saved["observations"]
