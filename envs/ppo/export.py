"""A policy that Stable-Baselines3 has trained, as plain arrays that decide without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from torch import nn

from engine.models import Network
from envs.ppo.shares import activation

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]


class Normaliser(Protocol):
    """How observations were normalised before the policy saw them; see envs/lanes.py."""

    @property
    def mean(self) -> Array: ...  # (k,) float64
    @property
    def scale(self) -> Array: ...  # (k,) float64
    @property
    def clip(self) -> float: ...


def to_network(policy: Any, normaliser: Normaliser) -> Network:
    """The network that takes observations as they are and gives what the policy decides by.

    policy: an `MlpPolicy` of one activation, tanh or relu. Its choice is the largest of the logits; its target, where it
    has one, is the Gaussian's mean, which `model.predict` bounds to the space and the engine to what it allows. The
    policy computes in float32, the network in float64: logits differ by about 1e-6. Raises ValueError for another policy.
    """
    body = [m for m in policy.mlp_extractor.policy_net if isinstance(m, nn.Linear)]
    layers: Sequence[nn.Linear] = [*body, policy.action_net]
    return Network(
        mean=np.array(normaliser.mean, np.float64),
        scale=np.array(normaliser.scale, np.float64),
        clip=float(normaliser.clip),
        weights=tuple(layer.weight.detach().numpy().astype(np.float64) for layer in layers),
        biases=tuple(layer.bias.detach().numpy().astype(np.float64) for layer in layers),
        activation=activation(policy),
    )
