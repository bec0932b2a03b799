"""A table that learns on lanes: what it takes for their state, what it earns, and what it finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.models import Array
from engine.spec import AccountSpec, InstrumentSpec, MarginSpec
from envs.errors import TaskError
from envs.lanes import Lanes
from envs.qlearning.bins import Bins
from envs.qlearning.lanes import LaneWorld, fit_lane_bins
from envs.qlearning.schedules import Schedule
from envs.qlearning.trainer import QSettings, Trained, train_qlearning
from envs.qlearning.update import make_learner
from envs.spans import Span
from envs.tapes import Tape
from envs.task import Actions, Market, Reward, Task
from tests.builders import MINUTE, make_bars

CASH = AccountSpec("a", 100_000.0)
FEATURES = ("exposure", "rsi_14", "bars_held", "log_return")
FREE = Market(InstrumentSpec("A", lot_size=0.001))
NEVER = Schedule(0.0, 0.0)


def closes(n: int, seed: int) -> Array:
    return np.asarray(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 4e-3, n))))


def bars_of(close: Array) -> Any:
    """Bars that open where the one before closed."""
    opened = np.concatenate([close[:1], close[:-1]])
    both = np.stack([opened, close])
    return make_bars(np.column_stack([opened, both.max(axis=0), both.min(axis=0), close]))


def tape(task: Task, seed: int = 1, n: int = 400, columns: dict[str, Array] | None = None) -> Tape:
    return Tape(f"A{seed}", bars_of(closes(n, seed)), FREE, task, columns)


def test_bins_are_fitted_on_the_training_span_only() -> None:
    task = Task(CASH, MINUTE, FEATURES)
    tapes = [tape(task, seed) for seed in (1, 2)]
    spans = [Span(20, 200), Span(30, 100)]
    bins = fit_lane_bins(tapes, spans, bins=4, bins_of={"log_return": 2}, edges={"bars_held": [3.0]})
    rsi, ret = (np.concatenate([tapes[0].features[20:200, k], tapes[1].features[30:100, k]]) for k in (0, 1))
    assert bins.features == FEATURES
    assert [e.tolist() for e in bins.edges] == [
        [-1e-9, 1e-9],
        np.quantile(rsi, [0.25, 0.5, 0.75]).tolist(),
        [3.0],
        [np.median(ret)],
    ]


def test_learning_stands_where_stepping_from_outside_stands() -> None:
    """A learner that neither explores nor learns plays its table, as whoever steps the lanes by it."""
    account = AccountSpec("a", 100_000.0, margin=MarginSpec(leverage=2.0))
    task = Task(account, MINUTE, FEATURES, Actions(short=True), episode_bars=70)
    tapes = [tape(task, seed) for seed in (1, 2)]
    inside, outside = Lanes(tapes, 3, seed=4), Lanes(tapes, 3, seed=4)
    bins = fit_lane_bins(tapes, inside.spans)
    q = np.random.default_rng(0).normal(size=(bins.states, 3))
    model = bins.table(q)

    learner = make_learner(bins.states, 3, 1, np.random.SeedSequence(1), NEVER, NEVER, double=False)
    learner.q[:] = q.ravel()
    LaneWorld(inside, bins).learn(learner, 200)

    rewards, earned, episodes, seen = 0.0, np.zeros(3), 0, set()
    outside.reset()
    ended_earned = 0.0
    for _ in range(200):
        rows = model.states(outside.observations.astype(np.float64))
        seen |= set(rows.tolist())
        outside.step(model.q[rows].argmax(axis=1))
        exact = [lane.reward for lane in outside.batch.lanes]
        rewards += sum(exact)
        earned += exact
        for i in np.flatnonzero(outside.truncated):
            episodes += 1
            ended_earned += earned[i]
            earned[i] = 0.0
    counts = learner.counts[0]
    assert len(seen) > 30  # the policy goes long, short and flat, and holds
    assert (counts.step, counts.episodes) == (600, episodes)
    assert counts.reward == pytest.approx(rewards, rel=1e-12)
    assert counts.earned == pytest.approx(ended_earned, rel=1e-12)
    last = model.states(outside.observations.astype(np.float64))
    assert learner.lanes["state"].tolist() == last.tolist()
    assert set(learner.visits.nonzero()[0] // 3) == seen


# --- a market whose next move is known


def known(sign: float = 1.0, shift: int = 0) -> tuple[Task, Tape]:
    """A tape with a column that tells whether the next bar rises; `shift` bars late."""
    task = Task(
        CASH,
        MINUTE,
        ("next_up", "exposure"),
        Actions(),
        Reward(scale=sign),
        columns=("next_up",),
        episode_bars=200,
    )
    close = closes(2000, 3)
    ups = np.append(np.diff(close) > 0, False).astype(np.float64)
    return task, tape(task, 3, 2000, {"next_up": np.roll(ups, shift)})


def train(made: tuple[Task, Tape], seed: int = 1, lanes: int = 4, **more: Any) -> Trained:
    bins = Bins(("next_up", "exposure"), (np.array([0.5]), np.array([1e-9])))
    settings = QSettings(
        gamma=0.9, learning_rate=Schedule(0.2, 0.001, 1.0, "exponential"), evaluate_every=10_000
    )
    lanes_made = Lanes([made[1]], lanes, seed=seed)
    given: dict[str, Any] = {"settings": settings, "seed": seed, "steps": 60_000}
    return train_qlearning(LaneWorld(lanes_made, bins), **(given | more))


def policy(trained: Trained) -> list[str]:
    """By (next_up, exposure): 0 0, 0 1, 1 0, 1 1; what holds the position that there is says the same as its action."""
    names = [["flat", "flat", "long"], ["flat", "long", "long"]] * 2
    return [names[row][action] for row, action in enumerate(trained.model.q.argmax(axis=1))]


def test_table_learns_to_be_long_before_a_rise_and_flat_before_a_fall() -> None:
    assert policy(train(known())) == ["flat", "flat", "long", "long"]


def test_rewards_of_the_wrong_sign_teach_the_opposite() -> None:
    assert policy(train(known(sign=-1.0))) == ["long", "long", "flat", "flat"]


def test_feature_that_is_a_bar_late_earns_nothing() -> None:
    earned: list[list[float]] = [[], []]
    for rewards, shift in zip(earned, (0, 1), strict=True):
        train(known(shift=shift), callbacks=[lambda progress, to=rewards: to.append(progress.reward)])
    # a bar moves by 0.4 %, that is 0.32 % on average: who is long for the rises only earns half of it, 0.16 % x 0.95
    # of equity, less what the 5 % of random actions spoil
    assert 0.0013 < earned[0][-1] < 0.0017
    assert abs(earned[1][-1]) < 0.0004


def test_resumed_training_on_lanes_is_the_uninterrupted_one(tmp_path: Path) -> None:
    made = known()

    def interrupt(progress: Any) -> None:
        if progress.step > 25_000:
            raise KeyboardInterrupt

    whole = train(made)
    assert train(made, checkpoint=tmp_path, callbacks=[interrupt]).stopped == "interrupted"
    resumed = train(made, checkpoint=tmp_path, resume=True)
    assert resumed.model.q.tobytes() == whole.model.q.tobytes()
    assert resumed.visits.tobytes() == whole.visits.tobytes()


# --- what does not fit


def test_targets_are_refused() -> None:
    task = Task(CASH, MINUTE, ("log_return",), Actions(target=True))
    made = tape(task)
    with pytest.raises(TaskError, match="take discrete actions, or another algorithm"):
        LaneWorld(Lanes([made], 1, seed=1), fit_lane_bins([made], [Span(20, 200)]))


def test_bins_of_other_features_are_refused() -> None:
    made = tape(Task(CASH, MINUTE, ("log_return", "exposure")))
    with pytest.raises(TaskError, match="bins of exposure, log_return for a task with log_return, exposure"):
        LaneWorld(Lanes([made], 1, seed=1), Bins(("exposure", "log_return"), (np.empty(0), np.empty(0))))


def test_account_feature_without_edges_is_refused() -> None:
    made = tape(Task(CASH, MINUTE, ("log_return", "balance")))
    with pytest.raises(TaskError, match="'balance' depends on the agent"):
        fit_lane_bins([made], [Span(20, 200)])
    assert fit_lane_bins([made], [Span(20, 200)], edges={"balance": [50_000.0]}).states == 6
