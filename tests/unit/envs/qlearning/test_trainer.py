"""Training: what is kept, when it ends, and that going on is the same as not having stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.models import Array, QTable
from envs.checkpoint import FILE_NAME, read_checkpoint, write_checkpoint
from envs.errors import CheckpointError, TrainingError
from envs.progress import Progress
from envs.qlearning.schedules import Schedule
from envs.qlearning.trainer import QSettings, Trained, train_qlearning
from tests.unit.envs.qlearning.toys import CHANCES, ENDS, REWARDS, ToyWorld, make_toy, optimal

SETTINGS = QSettings(gamma=0.8, n_step=2, evaluate_every=1000, epsilon=Schedule(1.0, 0.2, 0.5))


NPY = b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }" + b" " * 60 + b"\n7"


def world(lanes: int = 3, seed: int = 5) -> ToyWorld:
    return ToyWorld(make_toy(CHANCES, REWARDS, ENDS, lanes, horizon=50, seed=seed))


def train(steps: int = 5000, **more: Any) -> Trained:
    given: dict[str, Any] = {"world": world(), "settings": SETTINGS, "seed": 1, "steps": steps}
    return train_qlearning(**(given | more))


def looks(*values: float) -> tuple[Callable[[QTable], float], list[Array]]:
    """An evaluation that gives these values in turn, and the tables that it was asked about."""
    script, seen = iter(values), []

    def evaluate(model: QTable) -> float:
        seen.append(model.q.copy())
        return next(script)

    return evaluate, seen


def test_trained_table_chooses_as_value_iteration_does() -> None:
    trained = train(300_000, settings=replace(SETTINGS, evaluate_every=None))
    exact = optimal(CHANCES, REWARDS, ENDS, 0.8)
    assert trained.model.q == pytest.approx(exact, abs=0.05)
    assert (
        trained.model.values(np.array([[0.0], [1.0], [2.0]])).argmax(axis=1).tolist()
        == exact.argmax(axis=1).tolist()
    )
    assert (trained.steps, trained.stopped, trained.evaluation) == (300_000, "steps", None)
    # each step of three lanes is learned from, but for those still pending
    assert 300_000 - 6 <= trained.visits.sum() <= 300_000


def test_best_table_is_kept_and_not_the_last() -> None:
    evaluate, seen = looks(1.0, 3.0, 2.0, 3.0, -5.0)
    trained = train(evaluate=evaluate)
    assert trained.model.q.tolist() == seen[1].tolist()
    assert trained.evaluation == 3.0
    assert seen[1].tolist() != seen[4].tolist()


def test_training_stops_where_patience_is_at_an_end() -> None:
    evaluate, seen = looks(1.0, 2.0, 1.0, 1.9, 9.0)
    trained = train(evaluate=evaluate, settings=replace(SETTINGS, patience=2))
    assert (trained.stopped, trained.evaluation, len(seen)) == ("patience", 2.0, 4)
    assert trained.steps == 4 * 1002  # 1,000 steps are 334 of each of three lanes


def test_patience_counts_from_the_last_best() -> None:
    evaluate, _ = looks(1.0, 0.0, 2.0, 0.0, 3.0)
    assert train(evaluate=evaluate, settings=replace(SETTINGS, patience=2)).stopped == "steps"


def test_last_look_is_at_the_end_though_it_comes_early() -> None:
    evaluate, seen = looks(*range(4))
    trained = train(3100, evaluate=evaluate)
    assert len(seen) == 4
    assert trained.steps == 3102  # rounded up to whole steps of three lanes
    assert trained.model.q.tolist() == seen[-1].tolist()


def test_ctrl_c_keeps_the_best_so_far() -> None:
    evaluate, seen = looks(1.0, 0.5, 0.7)

    def interrupt(progress: Progress) -> None:
        if progress.step > 2500:
            raise KeyboardInterrupt

    trained = train(evaluate=evaluate, callbacks=[interrupt])
    assert (trained.stopped, trained.evaluation, trained.steps) == ("interrupted", 1.0, 3006)
    assert trained.model.q.tolist() == seen[0].tolist()


def test_ctrl_c_before_the_first_look_keeps_what_was_learned() -> None:
    def evaluate(model: QTable) -> float:
        raise KeyboardInterrupt

    trained = train(evaluate=evaluate)
    assert (trained.stopped, trained.evaluation) == ("interrupted", None)
    assert np.abs(trained.model.q).sum() > 0


def test_interrupted_and_resumed_training_is_the_uninterrupted_one_bit_for_bit(tmp_path: Path) -> None:
    def evaluate(model: QTable) -> float:
        return -float(np.abs(model.q - 0.4).sum())  # rises, then falls

    def interrupt(progress: Progress) -> None:
        if progress.step > 2500:
            raise KeyboardInterrupt

    whole_told: list[Progress] = []
    whole = train(evaluate=evaluate, callbacks=[whole_told.append], checkpoint=tmp_path / "whole")
    told: list[Progress] = []
    train(evaluate=evaluate, callbacks=[told.append, interrupt], checkpoint=tmp_path / "cut")
    resumed = train(
        evaluate=evaluate,
        callbacks=[told.append],
        checkpoint=tmp_path / "cut",
        resume=True,
        world=world(seed=99),  # which the checkpoint takes back to where it was
    )
    assert resumed.model.q.tobytes() == whole.model.q.tobytes()
    assert resumed.visits.tobytes() == whole.visits.tobytes()
    assert (resumed.evaluation, resumed.steps) == (whole.evaluation, whole.steps)
    assert [replace(p, wall_s=0) for p in told] == [replace(p, wall_s=0) for p in whole_told]
    (about, arrays), (other_about, others) = (read_checkpoint(tmp_path / name) for name in ("whole", "cut"))
    assert {k: v.tobytes() for k, v in arrays.items()} == {k: v.tobytes() for k, v in others.items()}
    assert about["identity"] == other_about["identity"]


def test_resuming_a_training_that_had_ended_changes_nothing(tmp_path: Path) -> None:
    first = train(checkpoint=tmp_path)
    again = train(checkpoint=tmp_path, resume=True)
    assert again.model == first.model
    assert again.steps == first.steps


def test_same_seed_learns_the_same_table_and_another_another() -> None:
    assert train().model == train().model
    assert train().model != train(seed=2).model


def test_progress_adds_up_to_what_happened() -> None:
    told: list[Progress] = []
    toy = world(lanes=1)
    # the reward is that of the action, whichever the state: its mean is known where all are tried alike
    toy.toy.rewards[:] = [1.0, 2.0, 6.0]
    settings = replace(SETTINGS, epsilon=Schedule(1.0, 1.0), learning_rate=Schedule(0.0, 0.0))
    train(20_000, world=toy, settings=settings, callbacks=[told.append], evaluate=lambda model: 7.0)
    assert [p.step for p in told] == list(range(1000, 21_000, 1000))
    assert np.mean([p.reward for p in told]) == pytest.approx(3.0, abs=0.06)  # deviation 2.2 / sqrt(20,000)
    ended = sum(p.episodes for p in told)
    earned = sum((p.episode_reward or 0.0) * p.episodes for p in told)
    assert (
        0 < 20_000 * np.mean([p.reward for p in told]) - earned < 50 * 6
    )  # but for the episode still running
    assert ended > 1000
    # values stay 0, so an error is a return: of two rewards, mean 3 + 0.8 * 3, of one where the episode ends
    assert all(3.0 < p.losses["error"] < 5.4 for p in told)
    assert {p.evaluation for p in told} == {p.best for p in told} == {7.0}


def test_evaluation_that_is_no_number_is_refused() -> None:
    with pytest.raises(TrainingError, match="evaluation gave nan"):
        train(evaluate=lambda model: float("nan"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": 2}, "seed was 1, now 2"),
        ({"steps": 6000}, "steps was 5000, now 6000"),
        ({"settings": replace(SETTINGS, gamma=0.7)}, "'gamma': 0.7"),
        ({"world": world(lanes=4)}, "lanes was 3, now 4"),
    ],
)
def test_checkpoint_of_another_training_is_refused_with_what_differs(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    train(checkpoint=tmp_path)
    again: dict[str, Any] = {"checkpoint": tmp_path, "resume": True} | change
    with pytest.raises(CheckpointError, match=says):
        train(**again)


def test_resuming_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint; start without resuming"):
        train(checkpoint=tmp_path, resume=True)
    with pytest.raises(ValueError, match="no folder of checkpoints is given"):
        train(resume=True)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nothing", b"\x93NUMPY", b"\x80\x04N.", NPY])
def test_damaged_checkpoint_is_refused(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(damage)
    with pytest.raises(CheckpointError, match="it is no checkpoint of a training"):
        train(checkpoint=tmp_path, resume=True)


def test_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, {"a": 1}, {"x": np.arange(1000)})
    assert read_checkpoint(tmp_path)[1]["x"].sum() == 499_500
    whole = (tmp_path / FILE_NAME).read_bytes()
    (tmp_path / FILE_NAME).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"gamma": 1.1}, "gamma is 1.1"),
        ({"epsilon": Schedule(2.0, 0.1)}, "epsilon goes from 2.0 to 0.1; it is 1 at most"),
        ({"n_step": 0}, "n_step is 0"),
        ({"visit_power": -0.1}, "visit_power is -0.1"),
        ({"patience": 0}, "patience is 0; it must be 1 or more, or None"),
        ({"evaluate_every": 0}, "evaluate_every is 0"),
    ],
)
def test_impossible_setting_is_refused_by_name(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        QSettings(**wrong)


def test_training_of_no_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="0 steps"):
        train(0)
