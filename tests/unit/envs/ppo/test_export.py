"""The exported network decides as `predict` does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from envs.ppo.export import to_network
from envs.ppo.fast import FastPPO
from envs.ppo.vecenv import LaneVecEnv
from tests.unit.envs.ppo.toy import ToyLanes

SEEN = 100_000


def model_of(lanes: ToyLanes, **policy: Any) -> FastPPO:
    env = LaneVecEnv(lanes, target=lanes.target, short=True)
    return FastPPO(
        "MlpPolicy", env, n_steps=20, batch_size=250, learning_rate=3e-3, seed=1, policy_kwargs=policy
    ).learn(2_000)


def observed(lanes: ToyLanes) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    # as they are, and as lanes normalise them: some of them beyond the clip
    n = lanes.normaliser
    raw = np.random.default_rng(7).normal(n.mean, 2.0 / n.scale, (SEEN, len(n.mean)))
    normal = np.clip((raw - n.mean) * n.scale, -n.clip, n.clip)
    assert 0.1 < np.mean(np.abs(normal) == n.clip) < 0.9
    return raw, normal.astype(np.float32)


@pytest.mark.parametrize("activation", [torch.nn.Tanh, torch.nn.ReLU])
def test_choices_equal_predicts_on_100_000_observations(activation: type[torch.nn.Module]) -> None:
    lanes = ToyLanes(25, k=7)
    model = model_of(lanes, activation_fn=activation)
    network = to_network(model.policy, lanes.normaliser)
    raw, normal = observed(lanes)
    values = network.values(raw)
    predicted, _ = model.predict(normal, deterministic=True)
    best_two = np.sort(values, axis=1)[:, -2:]
    tie = best_two[:, 1] - best_two[:, 0] < 1e-5
    assert tie.mean() < 0.001
    np.testing.assert_array_equal(values.argmax(axis=1)[~tie], predicted[~tie])
    assert min(np.bincount(predicted, minlength=3)[[0, 2]]) > SEEN / 10  # it has learned to tell them apart
    with torch.no_grad():
        distribution: Any = model.policy.get_distribution(torch.from_numpy(normal)).distribution
    shares = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, distribution.probs.numpy(), rtol=0, atol=1e-5)


def test_targets_equal_predicts_on_100_000_observations() -> None:
    lanes = ToyLanes(25, k=5, target=True)
    model = model_of(lanes, net_arch=[32, 16, 8])
    network = to_network(model.policy, lanes.normaliser)
    raw, normal = observed(lanes)
    predicted, _ = model.predict(normal, deterministic=True)
    values = network.values(raw)
    assert values.shape == (SEEN, 1)
    np.testing.assert_allclose(np.clip(values, -1.0, 1.0), predicted, rtol=0, atol=1e-5)
    assert predicted.std() > 0.1


def test_network_keeps_its_weights_when_the_policy_learns_on() -> None:
    lanes = ToyLanes(25)
    model = model_of(lanes)
    network = to_network(model.policy, lanes.normaliser)
    before = network.packed().copy()
    model.learn(500, reset_num_timesteps=False)
    np.testing.assert_array_equal(network.packed(), before)
    assert not np.array_equal(to_network(model.policy, lanes.normaliser).packed(), before)
