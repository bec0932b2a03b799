"""The training of a PPO agent from its first step to the network that the engine runs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.logger import Logger
from torch import nn

from engine.models import Network
from envs.checkpoint import FILE_NAME, check_same, read_checkpoint, write_checkpoint
from envs.ppo.export import to_network
from envs.ppo.fast import FastPPO, TrainingError, get_moments, set_moments
from envs.ppo.settings import LOOKS, LearningRate, PPOSettings
from envs.ppo.vecenv import LaneVecEnv
from envs.progress import Callback, Progress

Array = np.ndarray[Any, Any]
LANES = "lanes."  # before the names of their arrays in a checkpoint
SECONDS_BETWEEN_CHECKPOINTS = 30.0
ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


@dataclass(frozen=True)
class Trained:
    """What a training leaves.

    network: the best on the validation span, normalisation in it; model: the same as Stable-Baselines3's, for `save`.
    steps: environment steps, over resumptions, and the seconds they took. best: the network's evaluation, None where the
    training was interrupted before its first look. ended: "steps" (all taken), "patience" or "interrupted".
    """

    network: Network
    model: FastPPO
    steps: int
    wall_s: float
    best: float | None
    ended: str


@dataclass(frozen=True)
class Standing:
    """How far a training has come, beside its weights: what a checkpoint says of it in JSON."""

    step: int = 0
    wall_s: float = 0.0
    best: float | None = None
    since_best: int = 0  # looks


def train_ppo(
    lanes: Any,
    evaluate: Callable[[Network], float],
    settings: PPOSettings,
    *,
    seed: int,
    steps: int,
    callbacks: Sequence[Callback] = (),
    folder: Path | None = None,
    resume: bool = False,
) -> Trained:
    """Train for at least so many environment steps, in whole rollouts; the best network on the validation span.

    lanes: `envs.lanes.Lanes`, seeded and restarting, n_lanes of them; their rewards are scaled. evaluate: the value of a network on the validation
    span, more is better; it is asked twenty times or as the settings say, and at the end. callbacks: hear a `Progress`
    after each rollout. folder: where checkpoints are kept, at each look and every half minute between. resume: go on from
    the checkpoint in it, if there is one; the outcome is, bit for bit, that of a training that was never interrupted.

    KeyboardInterrupt (Ctrl-C) ends the training with the best network so far, or the newest where none was looked at.
    With the same lanes, settings, seed and machine the weights are the same. Raises ValueError where lanes and settings
    do not fit, TrainingError where a loss or an evaluation is no number, CheckpointError where the checkpoint is of
    another training.
    """
    if steps < 1:
        raise ValueError(f"a training of {steps} steps; give at least 1")
    training = _Training(lanes, evaluate, settings, seed, steps, folder)
    if resume and folder is not None and (folder / FILE_NAME).exists():
        training.load(folder)
    ended = "interrupted"
    with suppress(KeyboardInterrupt):  # what has been learned so far is what was asked for
        ended = training.run(callbacks)
    return training.result(ended)


class _Training:
    # The model, how far it is, and two copies of its weights: the best so far, and those after the last whole rollout.

    def __init__(
        self,
        lanes: Any,
        evaluate: Callable[[Network], float],
        settings: PPOSettings,
        seed: int,
        steps: int,
        folder: Path | None,
    ) -> None:
        self.lanes, self.evaluate, self.settings, self.steps = lanes, evaluate, settings, steps
        self.folder = folder
        self.identity = {"algorithm": "ppo", "settings": settings.facts(), "seed": seed, "steps": steps}
        self.every = settings.evaluate_every or max(1, steps // LOOKS)
        actions = lanes.task.actions
        self.env = LaneVecEnv(lanes, target=actions.target, short=actions.short, gamma=settings.gamma)
        assert self.env.scale is not None  # for gamma is given
        self.scale = self.env.scale
        self.model = make_model(self.env, settings, seed)
        self.model.set_logger(Logger(None, []))
        self.listener = CallbackList([])
        self.listener.init_callback(self.model)
        self.standing = Standing()
        self.newest = self.best = self.model.weights()
        self._began = time.monotonic()
        self._written = self._began

    def run(self, callbacks: Sequence[Callback]) -> str:
        """Go on to the end, which is named as in `Trained.ended`."""
        if self.standing.step == 0:
            self._observe(self.env.reset(), np.ones(self.lanes.n, bool))
        patience = self.settings.patience
        while self.standing.step < self.steps:
            if patience is not None and self.standing.since_best >= patience:
                return "patience"
            progress = self._advance()
            for callback in callbacks:
                callback(progress)
            late = time.monotonic() - self._written > SECONDS_BETWEEN_CHECKPOINTS
            if self.folder is not None and (late or progress.evaluation is not None):
                self._save(self.folder)
        return "steps"

    def result(self, ended: str) -> Trained:
        """The best weights, or the newest where none was looked at."""
        s = self.standing
        self.model.set_weights(self.newest if s.best is None else self.best)
        network = to_network(self.model.policy, self.lanes.normaliser)
        return Trained(network, self.model, s.step, s.wall_s, s.best, ended)

    def load(self, folder: Path) -> None:
        """Go on from a checkpoint. Raises CheckpointError where it is of another training."""
        facts, arrays = read_checkpoint(folder)
        check_same(folder, json.loads(json.dumps(self.identity)), facts["identity"])
        model, lane_arrays = (
            self.model,
            {k[len(LANES) :]: a for k, a in arrays.items() if k.startswith(LANES)},
        )
        self.lanes.load(lane_arrays)
        self.env.episode_rewards[:] = arrays["episode_rewards"]
        self.env.episode_lengths[:] = arrays["episode_lengths"]
        self.scale.sums[:], self.scale.seen[:] = arrays["reward_sums"], arrays["rewards_seen"]
        self._observe(self.lanes.observations.copy(), arrays["episode_starts"])
        self.newest, self.best = arrays["weights"], arrays["best_weights"]
        model.set_weights(self.newest)
        set_moments(model, arrays["moments"], facts["updates"])
        model.generator.bit_generator.state = facts["generator"]
        model.num_timesteps = facts["standing"]["step"]
        self.standing = Standing(**facts["standing"])

    def _save(self, folder: Path) -> None:
        moments, updates = get_moments(self.model)
        arrays: dict[str, Any] = {
            "weights": self.newest,
            "best_weights": self.best,
            "moments": moments,
            "episode_starts": self.model._last_episode_starts,
            "episode_rewards": self.env.episode_rewards,
            "episode_lengths": self.env.episode_lengths,
            "reward_sums": self.scale.sums,
            "rewards_seen": self.scale.seen,
        }
        facts = {
            "identity": self.identity,
            "standing": self.standing.__dict__,
            "updates": updates,
            "generator": self.model.generator.bit_generator.state,
        }
        write_checkpoint(folder, facts, arrays | {LANES + k: a for k, a in self.lanes.save().items()})
        self._written = time.monotonic()

    def _observe(self, observations: Array, starts: Array) -> None:
        self.model._last_obs, self.model._last_episode_starts = observations, starts

    def _advance(self) -> Progress:
        # One rollout, its update, and a look where one is due.
        model, before = self.model, self.standing
        model.collect_rollouts(self.env, self.listener, model.rollout_buffer, model.n_steps)
        model._update_current_progress_remaining(model.num_timesteps, self.steps)
        model.train()
        step = model.num_timesteps
        evaluation, best, since = None, before.best, before.since_best
        weights = model.weights()
        if step // self.every > before.step // self.every or step >= self.steps:
            evaluation = float(self.evaluate(to_network(model.policy, self.lanes.normaliser)))
            if math.isnan(evaluation):
                raise TrainingError(f"after {step} steps the evaluation is no number")
            since += 1
            if best is None or evaluation > best:
                best, since, self.best = evaluation, 0, weights
        self.newest = weights
        now = time.monotonic()
        self.standing = Standing(step, before.wall_s + now - self._began, best, since)
        self._began = now
        c = model.collected
        return Progress(
            step, self.standing.wall_s, c.reward, c.episodes, c.episode_reward, model.losses, evaluation, best
        )


def make_model(env: LaneVecEnv, settings: PPOSettings, seed: int) -> FastPPO:
    """A fresh model of these settings. Raises ValueError where the environment has other lanes than they say."""
    s = settings
    if env.num_envs != s.n_lanes:
        raise ValueError(
            f"n_lanes is {s.n_lanes}, and there are {env.num_envs} lanes; make as many as it says"
        )
    return FastPPO(
        "MlpPolicy",
        env,
        learning_rate=LearningRate(s.learning_rate),
        n_steps=s.n_steps,
        batch_size=s.batch_size,
        n_epochs=s.epochs,
        gamma=s.gamma,
        gae_lambda=s.gae_lambda,
        clip_range=s.clip_range,
        ent_coef=s.ent_coef,
        vf_coef=s.vf_coef,
        max_grad_norm=s.max_grad_norm,
        policy_kwargs={"net_arch": list(s.net_arch), "activation_fn": ACTIVATIONS[s.activation]},
        seed=seed,
    )
