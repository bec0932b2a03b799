"""Lanes as a vector environment of Stable-Baselines3."""

from __future__ import annotations

import time
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from envs.ppo.scaling import RewardScale

Array = np.ndarray[Any, Any]


class Lanes(Protocol):
    """What steps n independent episodes at once, into arrays that it keeps; see envs/lanes.py.

    observations, final_observations: (n, k) float32. rewards: (n,) float32. terminated, truncated: (n,) bool. Where an
    episode has ended, `observations` is the first of the next one and `final_observations` the last of it; elsewhere
    the latter means nothing. Each call overwrites them.
    """

    n: int
    observations: Array
    rewards: Array
    terminated: Array
    truncated: Array
    final_observations: Array

    def reset(self) -> Any:
        """Begin all episodes anew."""

    def step(self, actions: Array) -> Any:
        """Advance each lane: (n,) int64 choices or (n,) float32 targets."""

    def save(self) -> dict[str, Array]:
        """All that its further course depends on."""

    def load(self, saved: dict[str, Array]) -> None:
        """Go on from there."""


class LaneVecEnv(VecEnv):
    """n lanes as one vector environment, with nothing done in Python by lane and step.

    Observations are (n, k) float32, unbounded. Actions: sell, hold and buy as `Discrete(3)`, or with `target` a number
    in [-1, 1] (`short`) or [0, 1] as a `Box` of shape (1,). Where an episode ends, as in any such environment, the
    observation returned is the next episode's, and its info has `terminal_observation`, `TimeLimit.truncated` (cut off,
    not ended by its rules) and `episode`: sum of rewards r, steps l, seconds t since this object was made.

    gamma: where it is given, rewards are scaled (envs/ppo/scaling.py) for an agent with this discount; episodes still tell
    them as they were. The lanes' own seed decides: `seed` here changes nothing.
    """

    def __init__(
        self, lanes: Lanes, *, target: bool = False, short: bool = False, gamma: float | None = None
    ) -> None:
        self.lanes = lanes
        self.scale = None if gamma is None else RewardScale(lanes.n, gamma)
        self.rewards = lanes.rewards  # of the last step, scaled
        self.episode_rewards = np.zeros(lanes.n)
        self.episode_lengths = np.zeros(lanes.n, np.int64)
        self.ended = np.zeros(0, np.int64)  # lanes whose episode the last step ended, and what it came to
        self.ended_rewards = np.zeros(0)
        self.ended_lengths = np.zeros(0, np.int64)
        self._began = time.monotonic()
        self._no_infos: list[dict[str, Any]] = [{} for _ in range(lanes.n)]
        self._actions: Array | None = None
        shape = lanes.observations.shape[1:]
        actions: spaces.Space[Any] = spaces.Discrete(3)
        if target:
            actions = spaces.Box(-1.0 if short else 0.0, 1.0, (1,), np.float32)
        super().__init__(lanes.n, spaces.Box(-np.inf, np.inf, shape, np.float32), actions)

    def reset(self) -> Array:
        self.lanes.reset()
        self.episode_rewards[:] = 0.0
        self.episode_lengths[:] = 0
        if self.scale is not None:
            self.scale.forget()
        return self.lanes.observations.copy()

    def step_lanes(self, actions: Array) -> Array:
        """Step on actions as the lanes take them, (n,), with no copies and infos; (n,) bool where an episode ended.

        Everything else is, until the next step, in the arrays of `lanes`, in `rewards`, and in `ended` and its companions.
        """
        lanes = self.lanes
        lanes.step(actions)
        self.episode_rewards += lanes.rewards
        self.episode_lengths += 1
        done = lanes.terminated | lanes.truncated
        self.ended = np.flatnonzero(done)
        self.ended_rewards = self.episode_rewards[self.ended]
        self.ended_lengths = self.episode_lengths[self.ended]
        self.episode_rewards[self.ended] = 0.0
        self.episode_lengths[self.ended] = 0
        self.rewards = lanes.rewards if self.scale is None else self.scale(lanes.rewards, done)
        return np.asarray(done)

    def episodes(self) -> list[dict[str, Any]]:
        """The episodes that the last step ended, by lane, as `infos` has them."""
        seconds = round(time.monotonic() - self._began, 6)
        return [
            {"r": float(reward), "l": int(length), "t": seconds}
            for reward, length in zip(self.ended_rewards, self.ended_lengths, strict=True)
        ]

    def step_async(self, actions: Array) -> None:
        self._actions = np.asarray(actions).reshape(self.num_envs)

    def step_wait(self) -> tuple[Array, Array, Array, list[dict[str, Any]]]:
        if self._actions is None:
            raise RuntimeError("step_wait without step_async before it")
        done = self.step_lanes(self._actions)
        self._actions = None
        infos = self._no_infos.copy()
        lanes = self.lanes
        for i, episode in zip(self.ended, self.episodes(), strict=True):
            infos[i] = {
                "terminal_observation": lanes.final_observations[i].copy(),
                "TimeLimit.truncated": bool(lanes.truncated[i] and not lanes.terminated[i]),
                "episode": episode,
            }
        return lanes.observations.copy(), self.rewards.copy(), done, infos

    def close(self) -> None:
        """Nothing is held open."""

    def seed(self, seed: int | None = None) -> list[int | None]:
        return [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same of each lane, for they have no attributes of their own."""
        value = None if attr_name == "render_mode" else getattr(self, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError("lanes have no attributes of their own: set them where the lanes are made")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        raise NotImplementedError("lanes have no methods of their own: call those of the lanes' object")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False for _ in self._get_indices(indices)]
