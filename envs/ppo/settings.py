"""How PPO trains; nothing here imports torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from envs.qlearning.schedules import Schedule

LOOKS = 20  # at the validation span, where nothing else is said


@dataclass(frozen=True)
class PPOSettings:
    """Settings of proximal policy optimisation (Schulman et al. 2017), with defaults for many short-sighted lanes.

    n_lanes x n_steps environment steps make a rollout: many lanes, few steps of each, so that a rollout sees many places
    of the tapes at once, and that the matrix products are large. batch_size: large for the same reason; gradients of
    market data are mostly noise, and a batch of thousands averages it. epochs: how often an update goes through its
    rollout. gamma: at 0.99 a hundred bars ahead count; longer only makes the values noisier. ent_coef: a little
    exploration is paid for, since a policy that stops trading sees no more of what trading brings. clip_range,
    gae_lambda, vf_coef, max_grad_norm, net_arch, activation: as Stable-Baselines3 has them, of the policy and of the value
    function each. learning_rate: of Adam, over the share of steps done. evaluate_every: steps from one look at the
    validation span to the next; None: twenty looks. patience: looks without a better one after which it ends; None: never.
    Raises ValueError, naming the field, for what cannot be.
    """

    learning_rate: Schedule = field(default_factory=lambda: Schedule(3e-4, 3e-4))
    n_lanes: int = 256
    n_steps: int = 32
    batch_size: int = 4096
    epochs: int = 10
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    ent_coef: float = 0.005
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    net_arch: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    evaluate_every: int | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        whole = ("n_lanes", "n_steps", "batch_size", "epochs")
        optional = [name for name in ("evaluate_every", "patience") if getattr(self, name) is not None]
        for name in (*whole, *optional):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("clip_range", "max_grad_norm"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be a number above 0")
        for name in ("ent_coef", "vf_coef"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be a number from 0 up")
        for name in ("gamma", "gae_lambda"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be from 0 to 1")
        if not 2 <= self.batch_size <= self.n_lanes * self.n_steps:
            raise ValueError(
                f"batch_size is {self.batch_size}; it must be from 2 to n_lanes x n_steps = {self.n_lanes * self.n_steps}"
            )
        if not self.net_arch or min(self.net_arch) < 1:
            raise ValueError(
                f"net_arch is {self.net_arch}; it must be the units of each layer, such as (64, 64)"
            )
        if self.activation not in ("tanh", "relu"):
            raise ValueError(f"activation is {self.activation!r}; there are tanh and relu")

    def facts(self) -> dict[str, Any]:
        """All of it as JSON can hold it."""
        return self.__dict__ | {"learning_rate": self.learning_rate.__dict__, "net_arch": list(self.net_arch)}


@dataclass(frozen=True)
class LearningRate:
    """A schedule as Stable-Baselines3 asks for it: by the share of the steps that remain, from 1 to 0."""

    schedule: Schedule

    def __call__(self, remaining: float) -> float:
        s = self.schedule
        share = min(1.0, (1.0 - remaining) / s.share)
        if share >= 1.0:
            return s.end
        if s.kind == "exponential":
            return float(s.start * (s.end / s.start) ** share)
        return s.start + (s.end - s.start) * share
