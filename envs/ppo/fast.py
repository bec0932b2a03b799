"""Stable-Baselines3's PPO with its rollout and its update written out: the same algorithm, several times as fast.

What was slow, for networks as small as a trader's: automatic differentiation, torch's tanh, distributions that check
their arguments, an index into each array for each minibatch, an optimiser that visits each parameter from Python, and a
dictionary for each lane and step. Here minibatches are slices of arrays that are shuffled once an epoch, gradients are
written out (envs/ppo/mlp.py, envs/ppo/kernels.py), and two threads take half of each minibatch (envs/ppo/shares.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer

from envs.errors import TrainingError
from envs.ppo.kernels import (
    SUMS,
    categorical_loss,
    compiled,
    gaussian_loss,
    sample_categorical,
    sample_gaussian,
    value_loss,
)
from envs.ppo.shares import Share, Shares, activation, flatten, one_thread_each, views
from envs.ppo.vecenv import LaneVecEnv

Array = np.ndarray[Any, Any]
MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Collected:
    """The last rollout: mean reward of a step, episodes that ended in it, mean of their summed rewards."""

    reward: float
    episodes: int
    episode_reward: float | None


class KeptRollout(RolloutBuffer):
    """A rollout buffer that keeps its memory from one rollout to the next."""

    def reset(self) -> None:
        if self.generator_ready or not hasattr(
            self, "values"
        ):  # the stock `get` leaves other arrays in their place
            super().reset()
            shape = self.observations.shape
            self.observations = torch.zeros(shape).numpy()  # torch begins it at a multiple of 64 bytes
        self.pos = 0
        self.full = False


class FastPPO(PPO):
    """PPO for a `LaneVecEnv`, on the processor, with an `MlpPolicy` of tanh or relu; saved and loaded as any other.

    Arguments are PPO's. Random numbers of training (choices, order of samples) come from `generator`, its own, seeded
    with `seed`. losses: those of the last update, by name, means over its samples. Raises ValueError for what it
    does not do: gSDE, a clipped value function, other policies and devices; TrainingError where a loss is no number.
    """

    def __init__(self, policy: Any = "MlpPolicy", env: Any = None, **kwargs: Any) -> None:
        kwargs.setdefault("rollout_buffer_class", KeptRollout)
        kwargs.setdefault("device", "cpu")
        super().__init__(policy, env, **kwargs)

    def _setup_model(self) -> None:
        super()._setup_model()
        if self.use_sde or self.clip_range_vf is not None:
            raise ValueError(
                "FastPPO has neither gSDE nor a clipped value function: leave both at their default"
            )
        if self.device.type != "cpu":
            raise ValueError(
                f"FastPPO computes on the processor, not on {self.device}: leave `device` at its default"
            )
        activation(self.policy)
        self.generator = np.random.default_rng(self.seed)
        self.losses: dict[str, float] = {}
        self._flat, self._gradient = flatten(self.policy)
        self.collected = Collected(0.0, 0, None)
        self._shares = Shares(self.policy, max(self.n_envs, min(self.batch_size, self.n_envs * self.n_steps)))
        self._shuffled: tuple[Array, ...] = ()
        for group in self.policy.optimizer.param_groups:
            group["fused"] = True  # all parameters in one call

    def _excluded_save_params(self) -> list[str]:
        # the last observations are those of lanes that are not saved
        own = ("generator", "losses", "collected", "_flat", "_gradient", "_shares", "_shuffled")
        return [*super()._excluded_save_params(), *own, "_last_obs", "_last_episode_starts"]

    def weights(self) -> Array:
        """A copy of all parameters, (count,) float32, in the policy's order."""
        return self._flat.numpy().copy()

    def set_weights(self, weights: Array) -> None:
        """Take on what `weights` gave."""
        self._flat.copy_(torch.from_numpy(weights))

    def collect_rollouts(self, env: Any, callback: Any, rollout_buffer: Any, n_rollout_steps: int) -> bool:
        """As PPO's, on the lanes' own arrays. Episodes that ended are in `ep_info_buffer`."""
        if not isinstance(env, LaneVecEnv):
            raise ValueError(f"FastPPO steps a LaneVecEnv, not a {type(env).__name__}: train that with PPO")
        with one_thread_each():
            return self._collect(env, callback, rollout_buffer, n_rollout_steps)

    def _collect(self, env: LaneVecEnv, callback: Any, buffer: Any, steps: int) -> bool:
        lanes, space = env.lanes, self.action_space
        buffer.reset()
        callback.on_rollout_start()
        callback.update_locals(locals())
        buffer.observations[0] = self._last_obs
        buffer.episode_starts[0] = self._last_episode_starts
        last = np.zeros(env.num_envs, np.float32)
        earned, ended = 0.0, []
        done = np.zeros(env.num_envs, bool)
        for t in range(steps):
            self._decide(buffer.observations[t], buffer.actions[t], buffer.values[t], buffer.log_probs[t])
            actions = buffer.actions[t]
            if isinstance(space, spaces.Box):
                actions = np.clip(actions, space.low, space.high)
            done = env.step_lanes(actions[:, 0])
            self.num_timesteps += env.num_envs
            if not callback.on_step():
                return False
            earned += float(lanes.rewards.sum(dtype=np.float64))
            ended.append(env.ended_rewards)
            if self.ep_info_buffer is not None and len(env.ended):
                self.ep_info_buffer.extend(env.episodes())
            buffer.rewards[t] = env.rewards
            # an episode that was cut off would have gone on to earn what its last state is worth
            if len(cut := env.ended[~lanes.terminated[env.ended]]):
                worth = np.empty(len(cut), np.float32)
                self._value(lanes.final_observations[cut], worth)
                buffer.rewards[t, cut] += np.float32(self.gamma) * worth
            if t + 1 < steps:
                buffer.observations[t + 1] = lanes.observations
                buffer.episode_starts[t + 1] = done
        self._last_obs = lanes.observations.copy()
        self._last_episode_starts = done
        self._value(self._last_obs, last)
        over = np.concatenate(ended)
        self.collected = Collected(
            earned / (steps * env.num_envs), len(over), float(over.mean()) if len(over) else None
        )
        buffer.pos, buffer.full = steps, True
        buffer.compute_returns_and_advantage(torch.from_numpy(last), done)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _decide(self, observations: Array, actions: Array, values: Array, log_probs: Array) -> None:
        # Draw actions (n, d) for observations (n, k), and write what they are worth and how probable they were.
        x = torch.from_numpy(observations)
        if isinstance(self.action_space, spaces.Discrete):
            noise: Array = self.generator.random((len(x),), dtype=np.float32)
            sample = compiled(sample_categorical)
        else:
            noise = self.generator.standard_normal((len(x), actions.shape[1]), dtype=np.float32)
            sample = compiled(sample_gaussian)

        def work(share: Share, rows: slice) -> None:
            if rows.start == rows.stop:
                return
            output = share.pi.forward(x[rows]).numpy()
            mean_and_std = (output,) if share.log_std is None else (output, share.log_std)
            sample(*mean_and_std, noise[rows], actions[rows], log_probs[rows])
            values[rows] = share.vf.forward(x[rows]).numpy()[:, 0]

        self._shares.run(work, slice(0, len(x)))

    def _value(self, observations: Array, values: Array) -> None:
        x = torch.from_numpy(observations)

        def work(share: Share, rows: slice) -> None:
            if rows.start < rows.stop:
                values[rows] = share.vf.forward(x[rows]).numpy()[:, 0]

        self._shares.run(work, slice(0, len(x)))

    def train(self) -> None:
        """As PPO's: epochs of minibatches over the rollout, each in an order of its own."""
        self._update_learning_rate(self.policy.optimizer)
        clip = float(self.clip_range(self._current_progress_remaining))  # type: ignore[operator]  # a schedule by now, made of the number that was given
        with one_thread_each():
            self._train(clip)
        for name, value in self.losses.items():
            if not np.isfinite(value):
                raise TrainingError(
                    f"after {self.num_timesteps} steps the {name} loss is {value}: lower the learning rate, or look "
                    "for rewards and observations that are no numbers or far too large"
                )
            self.logger.record(f"train/{name}", value)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def _train(self, clip: float) -> None:
        buffer: Any = self.rollout_buffer
        whole = [
            a.reshape(-1, *a.shape[2:]) if a.ndim > 2 else a.ravel()
            for a in (
                buffer.observations,
                buffer.actions,
                buffer.log_probs,
                buffer.advantages,
                buffer.returns,
            )
        ]
        if not self._shuffled:
            self._shuffled = tuple(torch.empty_like(torch.from_numpy(a)).numpy() for a in whole)
        for parameter, grad in zip(
            parameters := list(self.policy.parameters()), views(self._gradient, parameters), strict=True
        ):
            parameter.grad = grad
        total = len(whole[0])
        sums, part, samples = np.zeros(SUMS), np.zeros(SUMS), 0
        stopped = False
        for _ in range(self.n_epochs):
            order = self.generator.permutation(total)
            for array, shuffled in zip(whole, self._shuffled, strict=True):
                np.take(array, order, axis=0, out=shuffled)
            for first in range(0, total, self.batch_size):
                rows = slice(first, min(first + self.batch_size, total))
                size = rows.stop - rows.start
                self._gradients(rows, clip, part)
                sums += part
                samples += size
                stopped = self.target_kl is not None and part[4] > 1.5 * self.target_kl * size
                if stopped:
                    break
                # torch.nn.utils.clip_grad_norm_, of one vector
                norm = float(self._gradient.norm())
                if norm + 1e-6 > self.max_grad_norm:
                    self._gradient.mul_(self.max_grad_norm / (norm + 1e-6))
                self.policy.optimizer.step()
            self._n_updates += 1
            if stopped:
                break
        names = ("policy", "value", "entropy", "clipped", "kl")
        self.losses = {name: float(x) / samples for name, x in zip(names, sums, strict=True)}

    def _gradients(self, rows: slice, clip: float, sums: Array) -> None:
        # the loss of a minibatch, of these rows: its gradients and sums
        observations, actions, log_probs, advantages, returns = self._shuffled
        x = torch.from_numpy(observations)
        size = rows.stop - rows.start
        if self.normalize_advantage and size > 1:
            advantage = advantages[rows]
            advantage -= advantage.mean()
            advantage /= advantage.std(ddof=1) + 1e-8
        discrete = isinstance(self.action_space, spaces.Discrete)
        policy_loss, critic_loss = (
            compiled(categorical_loss if discrete else gaussian_loss),
            compiled(value_loss),
        )

        def work(share: Share, rows: slice) -> None:
            if rows.start == rows.stop:
                return
            m, mine = rows.stop - rows.start, x[rows]
            output = share.pi.forward(mine).numpy()
            sample = (
                actions[rows],
                log_probs[rows],
                advantages[rows],
                clip,
                self.ent_coef,
                size,
                share.pi.slopes(m),
            )
            if share.log_std is None:
                policy_loss(output, *sample, share.sums)
            else:
                policy_loss(output, share.log_std, *sample, share.log_std_grad, share.sums)
            share.pi.backward(mine)
            worth = share.vf.forward(mine).numpy()
            critic_loss(worth, returns[rows], self.vf_coef, size, share.vf.slopes(m), share.sums)
            share.vf.backward(mine)

        self._shares.run(work, rows)
        self._shares.gather(self._gradient, sums)


def get_moments(model: FastPPO) -> tuple[Array, int]:
    """Adam's two moving moments, (2, count) float32, and how many updates they have seen."""
    states = [model.policy.optimizer.state[p] for p in model.policy.parameters()]
    rows = [torch.cat([s[name].ravel() for s in states]).numpy() for name in MOMENTS]
    return np.stack(rows), int(states[0]["step"])


def set_moments(model: FastPPO, moments: Array, updates: int) -> None:
    """Take on what `get_moments` gave."""
    parameters = list(model.policy.parameters())
    rows = [views(torch.from_numpy(row.copy()), parameters) for row in moments]
    for parameter, *values in zip(parameters, *rows, strict=True):
        state = {name: value.clone() for name, value in zip(MOMENTS, values, strict=True)}
        model.policy.optimizer.state[parameter] = {"step": torch.tensor(float(updates))} | state
