from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from envs.ppo.scaling import EPSILON
from envs.ppo.vecenv import LaneVecEnv
from tests.unit.envs.ppo.toy import ToyLanes


def test_step_returns_what_the_lanes_did_and_infos_of_those_alone_that_are_over() -> None:
    lanes, twin = ToyLanes(40, length=7), ToyLanes(40, length=7)
    env = LaneVecEnv(lanes)
    np.testing.assert_array_equal(env.reset(), twin.reset())
    rng = np.random.default_rng(1)
    rewards, lengths = np.zeros(40), np.zeros(40, int)
    endings = {True: 0, False: 0}
    for _ in range(30):
        actions = rng.integers(0, 3, 40)
        observations, reward, done, infos = env.step(actions)
        twin.step(actions)
        np.testing.assert_array_equal(observations, twin.observations)
        np.testing.assert_array_equal(reward, twin.rewards)
        np.testing.assert_array_equal(done, twin.terminated | twin.truncated)
        rewards += reward
        lengths += 1
        for i, info in enumerate(infos):
            if not done[i]:
                assert info == {}
                continue
            # a lane whose episode ends by the rules in the very step in which it would be cut off has ended by them
            cut = bool(twin.truncated[i] and not twin.terminated[i])
            endings[cut] += 1
            np.testing.assert_array_equal(info["terminal_observation"], twin.final_observations[i])
            assert info["TimeLimit.truncated"] is cut
            assert info["episode"]["r"] == pytest.approx(rewards[i], abs=1e-6)
            assert info["episode"]["l"] == lengths[i]
            assert info["episode"]["t"] >= 0
            rewards[i] = lengths[i] = 0
    assert min(endings.values()) > 5


def test_what_a_step_returned_is_not_overwritten_by_the_next() -> None:
    env = LaneVecEnv(ToyLanes(8, length=1))  # each step ends each episode
    first: Any = env.reset()
    kept = first.copy()
    observations, rewards, _, infos = env.step(np.full(8, 2))
    assert isinstance(observations, np.ndarray)
    copies = observations.copy(), rewards.copy(), infos[3]["terminal_observation"].copy()
    env.step(np.zeros(8, int))
    np.testing.assert_array_equal(first, kept)
    for now, then in zip((observations, rewards, infos[3]["terminal_observation"]), copies, strict=True):
        np.testing.assert_array_equal(now, then)


def test_episodes_are_those_that_a_monitor_counts() -> None:
    env = LaneVecEnv(ToyLanes(30, seed=4))
    monitored = VecMonitor(LaneVecEnv(ToyLanes(30, seed=4)))
    env.reset()
    monitored.reset()
    rng = np.random.default_rng(2)
    seen = 0
    for _ in range(50):
        actions = rng.integers(0, 3, 30)
        for ours, theirs in zip(env.step(actions)[3], monitored.step(actions)[3], strict=True):
            assert ours.keys() == theirs.keys()
            if theirs:
                seen += 1
                assert ours["episode"]["r"] == pytest.approx(theirs["episode"]["r"], abs=1e-5)
                assert ours["episode"]["l"] == theirs["episode"]["l"]
    assert seen > 30


def test_reset_forgets_episodes_half_done() -> None:
    env = LaneVecEnv(ToyLanes(200, length=4))
    for _ in range(3):
        env.reset()
        first = [env.step(np.full(200, 2))[3] for _ in range(2)]  # the third begins two steps into an episode
        lengths = {info["episode"]["l"] for infos in first for info in infos if info}
        assert lengths == {1, 2}


@pytest.mark.parametrize(
    ("target", "short", "space"),
    [
        (False, False, spaces.Discrete(3)),
        (False, True, spaces.Discrete(3)),
        (True, False, spaces.Box(0.0, 1.0, (1,), np.float32)),
        (True, True, spaces.Box(-1.0, 1.0, (1,), np.float32)),
    ],
)
def test_spaces_are_those_of_the_task(target: bool, short: bool, space: spaces.Space[object]) -> None:
    env = LaneVecEnv(ToyLanes(3, k=6, target=target), target=target, short=short)
    assert env.action_space == space
    assert env.observation_space == spaces.Box(-np.inf, np.inf, (6,), np.float32)


def test_targets_come_as_a_column_and_reach_the_lanes_as_a_row() -> None:
    env = LaneVecEnv(ToyLanes(3, target=True), target=True, short=True)
    first = env.reset()
    _, rewards, _, _ = env.step(np.array([[0.5], [-1.0], [0.0]], np.float32))
    np.testing.assert_array_equal(rewards, np.array([0.5, -1.0, 0.0], np.float32) * first[:, 0])


def test_waiting_for_a_step_that_was_not_asked_for_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="without step_async"):
        LaneVecEnv(ToyLanes(3)).step_wait()


def test_scaled_rewards_are_those_of_stable_baselines_normalisation() -> None:
    class Small(ToyLanes):  # as small as returns are, and one in a thousand far too large
        def step(self, actions: Any) -> int:
            ended = super().step(actions)
            self.rewards *= np.where(self.rng.random(self.n) < 1e-3, 1.0, 1e-4)
            return ended

    env = LaneVecEnv(Small(30, seed=4), gamma=0.9)
    theirs = VecNormalize(LaneVecEnv(Small(30, seed=4)), norm_obs=False, gamma=0.9, epsilon=EPSILON)
    theirs.ret_rms.count = 0.0  # forget the observation of variance 1 that it begins with
    rng = np.random.default_rng(2)
    largest = []
    for _ in range(3):
        env.reset()
        theirs.reset()
        for _ in range(50):
            actions = rng.integers(0, 3, 30)
            _, rewards, _, infos = env.step(actions)
            _, expected, _, their_infos = theirs.step(actions)
            np.testing.assert_allclose(rewards, expected, rtol=1e-5)
            assert env.scale is not None
            np.testing.assert_allclose(env.scale.sums, theirs.returns, rtol=1e-6, atol=1e-9)
            assert [i.get("episode", {}).get("r") for i in infos] == [
                i.get("episode", {}).get("r") for i in their_infos
            ]
            largest.append(np.abs(rewards).max())
    assert max(largest) == 10.0
    assert 0.5 < largest[0] < 10.0
