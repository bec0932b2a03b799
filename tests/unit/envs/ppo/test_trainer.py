from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3 import PPO

from engine.models import Network
from envs.checkpoint import FILE_NAME, checkpoint_step
from envs.errors import CheckpointError
from envs.ppo import trainer
from envs.ppo.fast import TrainingError
from envs.ppo.settings import PPOSettings
from envs.ppo.trainer import Trained, train_ppo
from envs.progress import Progress
from envs.qlearning.schedules import Schedule
from tests.unit.envs.ppo.toy import ToyLanes

SETTINGS = PPOSettings(
    learning_rate=Schedule(3e-3, 1e-3), n_lanes=25, n_steps=40, batch_size=500, epochs=4, net_arch=(16,)
)
ROLLOUT = 25 * 40
PROBE = np.random.default_rng(0).standard_normal((2000, 4))


def quality(network: Network) -> float:
    """Share of observations of which the network makes the most that the toy pays for. The toy's own are normalised."""
    plain = dataclasses.replace(network, mean=np.zeros(4), scale=np.ones(4), clip=9.0)
    if network.n_outputs == 1:
        return float(np.mean(plain.values(PROBE)[:, 0] * PROBE[:, 0] > 0))
    return float(np.mean((plain.values(PROBE).argmax(axis=1) == 2) == (PROBE[:, 0] > 0)))


class Stopped(Exception):
    """What a killed process would not even raise."""


def train(steps: int = 10 * ROLLOUT, seed: int = 2, target: bool = False, **more: Any) -> Trained:
    lanes = ToyLanes(SETTINGS.n_lanes, seed=seed, target=target)
    given: dict[str, Any] = {"evaluate": quality, "settings": SETTINGS} | more
    return train_ppo(lanes, seed=seed, steps=steps, **given)


def test_trained_network_does_what_pays() -> None:
    trained = train(20 * ROLLOUT)
    assert (trained.steps, trained.ended) == (20 * ROLLOUT, "steps")
    assert trained.best == quality(trained.network) > 0.9
    assert trained.wall_s > 0


def test_trained_model_is_stable_baselines_own_with_the_same_weights(tmp_path: Path) -> None:
    trained = train(target=True)
    trained.model.save(tmp_path / "model.zip")
    model: Any = PPO.load(tmp_path / "model.zip", device="cpu")
    np.testing.assert_array_equal(model.policy.action_net.bias.detach().numpy(), trained.network.biases[-1])
    lanes = ToyLanes(25, target=True)
    np.testing.assert_array_equal(trained.network.mean, lanes.normaliser.mean)
    assert trained.network.clip == 2.0


def test_progress_is_told_after_each_rollout_and_looks_when_they_are_due() -> None:
    told: list[Progress] = []
    settings = dataclasses.replace(SETTINGS, evaluate_every=2500)
    trained = train(9 * ROLLOUT + 1, callbacks=[told.append], settings=settings)
    assert [p.step for p in told] == [ROLLOUT * i for i in range(1, 11)]  # whole rollouts
    # 2,500, 5,000 and 7,500 are first reached at 3,000, 5,000 and 8,000; 10,000 is due, and the end
    assert [p.step for p in told if p.evaluation is not None] == [3000, 5000, 8000, 10000]
    looks = [p.evaluation for p in told if p.evaluation is not None]
    assert told[-1].best == trained.best == max(looks)
    assert {*told[0].losses} == {"policy", "value", "entropy", "clipped", "kl"}
    assert all(a.wall_s < b.wall_s for a, b in pairwise(told))
    # an episode lasts 12 steps at most: 40 steps of 25 lanes end one in each lane at least thrice
    assert all(p.episodes >= 75 for p in told)
    assert told[-1].reward > told[0].reward


def test_best_on_the_validation_span_is_kept_though_later_ones_are_worse() -> None:
    seen: list[bytes] = []
    values = iter([0.1, 0.9, 0.3, 0.2, 0.1])

    def evaluate(network: Network) -> float:
        seen.append(network.packed().tobytes())
        return next(values)

    settings = dataclasses.replace(SETTINGS, evaluate_every=ROLLOUT)
    trained = train(5 * ROLLOUT, evaluate=evaluate, settings=settings)
    assert (trained.best, trained.ended) == (0.9, "steps")
    assert trained.network.packed().tobytes() == seen[1]
    assert len(set(seen)) == 5


def test_patience_ends_a_training_that_does_not_improve() -> None:
    values = iter([0.5, 0.6, 0.6, 0.1, 0.7])  # as good is no better
    settings = dataclasses.replace(SETTINGS, evaluate_every=ROLLOUT, patience=2)
    trained = train(5 * ROLLOUT, evaluate=lambda network: next(values), settings=settings)
    assert (trained.ended, trained.steps, trained.best) == ("patience", 4 * ROLLOUT, 0.6)


@pytest.mark.parametrize("target", [False, True])
def test_training_that_was_stopped_and_resumed_equals_one_that_was_not(
    tmp_path: Path, target: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dataclasses.replace(SETTINGS, evaluate_every=3 * ROLLOUT)
    told: list[Progress] = []
    whole = train(target=target, settings=settings, callbacks=[told.append])

    def stop(progress: Progress) -> None:
        if progress.step == 5 * ROLLOUT:  # beyond the checkpoint at the look at 3,000
            raise Stopped

    with pytest.raises(Stopped):
        train(target=target, settings=settings, callbacks=[stop], folder=tmp_path)
    assert checkpoint_step(tmp_path) == 3 * ROLLOUT
    again: list[Progress] = []
    # the lanes are fresh ones, of another seed: all that they do comes from the checkpoint
    lanes = ToyLanes(25, seed=99, target=target)
    resumed = train_ppo(
        lanes,
        quality,
        settings,
        seed=2,
        steps=10 * ROLLOUT,
        callbacks=[again.append],
        folder=tmp_path,
        resume=True,
    )
    assert resumed.network == whole.network
    np.testing.assert_array_equal(resumed.model.weights(), whole.model.weights())
    assert (resumed.best, resumed.steps) == (whole.best, whole.steps)
    timeless = [dataclasses.replace(p, wall_s=0.0) for p in told if p.step > 3 * ROLLOUT]
    assert [dataclasses.replace(p, wall_s=0.0) for p in again] == timeless


def test_same_seed_gives_the_same_network_and_another_seed_another() -> None:
    assert train(seed=4).network == train(seed=4).network != train(seed=5).network


def test_interrupted_training_gives_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = []
    values = iter([0.8, 0.2, 0.1])

    def evaluate(network: Network) -> float:
        networks.append(network)
        return next(values)

    stepped = 0
    step = ToyLanes.step

    def interrupted(lanes: ToyLanes, actions: Any) -> int:
        nonlocal stepped
        stepped += 1
        if stepped == 3 * 40 + 11:  # in the midst of the fourth rollout
            raise KeyboardInterrupt
        return step(lanes, actions)

    monkeypatch.setattr(ToyLanes, "step", interrupted)
    trained = train(evaluate=evaluate, settings=dataclasses.replace(SETTINGS, evaluate_every=ROLLOUT))
    assert (trained.ended, trained.steps, trained.best) == ("interrupted", 3 * ROLLOUT, 0.8)
    assert trained.network == networks[0]


def test_training_interrupted_before_its_first_look_gives_the_newest_weights() -> None:
    kept: list[Any] = []

    def callback(progress: Progress) -> None:
        kept.append(progress)
        if len(kept) == 2:
            raise KeyboardInterrupt

    settings = dataclasses.replace(SETTINGS, evaluate_every=10 * ROLLOUT)
    trained = train(settings=settings, callbacks=[callback])
    assert (trained.ended, trained.steps, trained.best) == ("interrupted", 2 * ROLLOUT, None)
    # two rollouts of a training that ends there with the same learning rates
    rate = SETTINGS.learning_rate
    shorter = Schedule(rate.start, rate.start + (rate.end - rate.start) * 0.2)
    assert (
        trained.network
        == train(2 * ROLLOUT, settings=dataclasses.replace(settings, learning_rate=shorter)).network
    )


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"seed": 3}, "seed"),
        ({"steps": 11 * ROLLOUT}, "steps"),
        ({"settings": dataclasses.replace(SETTINGS, gamma=0.9)}, "settings"),
    ],
)
def test_checkpoint_of_another_training_is_refused(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    train(folder=tmp_path)
    with pytest.raises(CheckpointError, match=f"it is of another training: {what} was"):
        train(folder=tmp_path, resume=True, **change)


def test_resuming_a_training_that_is_over_gives_its_result_again(tmp_path: Path) -> None:
    first = train(folder=tmp_path)
    again = train(folder=tmp_path, resume=True, callbacks=[pytest.fail])
    assert (again.network, again.steps, again.ended) == (first.network, first.steps, "steps")


def test_resuming_without_a_checkpoint_begins(tmp_path: Path) -> None:
    assert checkpoint_step(tmp_path) == 0
    assert train(folder=tmp_path, resume=True).network == train().network


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"not a zip", lambda b: b""])
def test_damaged_checkpoint_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    train(folder=tmp_path)
    path = tmp_path / FILE_NAME
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match="it is no checkpoint of a training, or damaged; start"):
        train(folder=tmp_path, resume=True)


def test_checkpoints_are_written_between_looks_when_time_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    steps = []
    train(
        settings=dataclasses.replace(SETTINGS, evaluate_every=10 * ROLLOUT),
        folder=tmp_path,
        callbacks=[lambda progress: steps.append(checkpoint_step(tmp_path))],
    )
    assert steps == [i * ROLLOUT for i in range(10)]  # each callback sees that of the rollout before


def test_evaluation_that_is_no_number_ends_the_training() -> None:
    with pytest.raises(TrainingError, match="after 1000 steps the evaluation is no number"):
        train(evaluate=lambda network: float("nan"))


def test_lanes_of_another_number_than_the_settings_say_are_refused() -> None:
    with pytest.raises(ValueError, match="n_lanes is 25, and there are 7 lanes"):
        train_ppo(ToyLanes(7), quality, SETTINGS, seed=0, steps=10)
    with pytest.raises(ValueError, match="a training of 0 steps"):
        train(0)


def test_best_from_before_a_stop_is_still_the_best_after_it(tmp_path: Path) -> None:
    networks: list[Network] = []

    def early(network: Network) -> float:
        networks.append(network)
        return [0.9, 0.2][len(networks) - 1]

    def stop(progress: Progress) -> None:
        if progress.step == 3 * ROLLOUT:
            raise Stopped

    settings = dataclasses.replace(SETTINGS, evaluate_every=ROLLOUT)
    given: dict[str, Any] = {"settings": settings, "folder": tmp_path}
    with pytest.raises(Stopped):
        train(evaluate=lambda n: 0.1 if len(networks) == 2 else early(n), callbacks=[stop], **given)
    trained = train(evaluate=lambda network: 0.3, resume=True, **given)
    assert (trained.best, trained.network) == (0.9, networks[0])
