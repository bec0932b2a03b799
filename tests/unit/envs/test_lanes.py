"""Lanes as their users see them: episodes, ends, checkpoints, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.records import BarKind, SizeKind
from engine.spec import AccountSpec, InstrumentSpec, MarginSpec
from envs.errors import TaskError
from envs.lanes import Lanes, Normaliser
from envs.normalise import CLIP, fit_normaliser
from envs.spans import Span
from envs.tapes import Tape, longest_window
from envs.task import Actions, Market, Reward, RewardKind, Task
from tests.builders import MINUTE, make_bars, make_ticks

CASH = AccountSpec("a", 10_000.0)
FEATURES = ("close", "exposure")


def bars(closes: Any) -> Any:
    """Bars that open where the one before closed."""
    closes = np.asarray(closes, np.float64)
    before = np.concatenate([closes[:1], closes[:-1]])
    return make_bars(
        np.column_stack([before, np.maximum(before, closes), np.minimum(before, closes), closes])
    )


def tape(closes: Any, **given: Any) -> Tape:
    task = Task(**{"account": CASH, "timeframe_ns": MINUTE, "features": FEATURES, **given})
    return Tape("A", bars(closes), Market(InstrumentSpec("A", taker_bps=10.0)), task)


def wave(n: int, seed: int = 1) -> Any:
    return np.round(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, n))), 2)


def test_reward_of_a_position_is_that_of_the_next_bar_by_hand() -> None:
    # 100 dollars a unit, 9,500 of 10,000 buy 94 units with the fee of 10 bps: 9,400 and 9.40 of fee
    made = tape([100.0, 100.0, 110.0, 110.0, 99.0], reward=Reward(RewardKind.PROFIT))
    lanes = Lanes([made], 1, seed=1, restarts=False)
    lanes.reset()
    assert lanes.observations.tolist() == [[100.0, 0.0]]
    lanes.step(2)  # bought at the open of the next bar, 100, which closes at 100
    assert lanes.rewards.tolist() == pytest.approx([-9.4 / 10_000])
    assert lanes.observations[0].tolist() == pytest.approx([100.0, 9_400 / 9_990.6])
    lanes.step(1)  # the bar goes to 110
    assert lanes.rewards.tolist() == pytest.approx([940 / 10_000])
    lanes.step(0)  # sold at 110, for a fee of 10.34
    assert lanes.rewards.tolist() == pytest.approx([-10.34 / 10_000])
    lanes.step(2)  # the last bar: bought at 110, it falls to 99
    units = 10_920.26 * 0.95 // (110 * 1.001)
    assert lanes.rewards.tolist() == pytest.approx([-(units * 11 + units * 0.11) / 10_000])
    assert lanes.truncated.tolist() == [True]
    assert lanes.terminated.tolist() == [False]
    lanes.step(2)  # nobody has begun another episode: nothing happens
    assert lanes.rewards.tolist() == [0.0]
    assert lanes.truncated.tolist() == [True]


def test_ruin_terminates_and_the_end_of_the_span_truncates() -> None:
    margin = AccountSpec("a", 10_000.0, margin=MarginSpec(leverage=5.0, maintenance=0.0))
    closes = [100.0] * 3 + [86.0, 70.0, 60.0, 50.0]
    made = tape(
        closes, account=margin, actions=Actions(size_kind=SizeKind.UNITS, size=450), ruin=0.5, episode_bars=0
    )
    lanes = Lanes([made], 2, seed=1, restarts=False)
    lanes.reset()
    held = []
    for _ in range(6):
        lanes.step([2, 1])
        held.append((bool(lanes.terminated[0]), bool(lanes.truncated[0]), bool(lanes.truncated[1])))
    # 450 units lose 14 each at 86: 6,300, and less than half is left
    assert held[:3] == [(False, False, False), (False, False, False), (True, False, False)]
    assert held[-1] == (True, False, True)


def test_episode_that_ends_is_followed_by_the_next_with_a_fresh_account() -> None:
    made = tape(wave(200), episode_bars=10)
    lanes = Lanes([made], 40, seed=3)
    first = lanes.reset().copy()
    rng = np.random.default_rng(0)
    for step in range(1, 31):
        ended = lanes.step(rng.integers(0, 3, 40))
        assert ended == (40 if step % 10 == 0 else 0)
        if step % 10 == 0:
            assert lanes.truncated.all()
            assert np.abs(lanes.final_observations[:, 1]).max() > 0.5  # somebody still held
            assert not lanes.observations[:, 1].any()  # and nobody does now
    assert not np.array_equal(first, lanes.observations)
    assert {int(lane.start) for lane in lanes.batch.lanes} > {0} or len(
        {int(x.start) for x in lanes.batch.lanes}
    ) > 20


def test_same_seed_gives_the_same_episodes_and_another_seed_others() -> None:
    made = tape(wave(300), episode_bars=20)
    seen = []
    for seed in (5, 5, 6):
        lanes = Lanes([made], 16, seed=seed)
        lanes.reset()
        for k in range(45):
            lanes.step(np.full(16, k % 3))
        seen.append(
            (lanes.observations.copy(), lanes.rewards.copy(), [int(x.start) for x in lanes.batch.lanes])
        )
    assert np.array_equal(seen[0][0], seen[1][0])
    assert np.array_equal(seen[0][1], seen[1][1])
    assert seen[0][2] != seen[2][2]


def test_threads_change_nothing() -> None:
    made = tape(wave(300), episode_bars=20)
    results = []
    for threads in (1, 2, 3):
        lanes = Lanes([made], 300, seed=5, threads=threads)
        lanes.reset()
        rng = np.random.default_rng(1)
        total = np.zeros(300)
        for _ in range(50):
            lanes.step(rng.integers(0, 3, 300))
            total += lanes.rewards
        results.append((total, lanes.observations.copy()))
    for total, observations in results[1:]:
        assert np.array_equal(total, results[0][0])
        assert np.array_equal(observations, results[0][1])


def test_lanes_go_on_from_what_was_saved_as_if_never_interrupted() -> None:
    made = tape(wave(300), episode_bars=25)
    actions = np.random.default_rng(1).integers(0, 3, (80, 12))

    def play(lanes: Lanes, steps: Any) -> list[Any]:
        seen = []
        for step in steps:
            lanes.step(actions[step])
            seen.append((lanes.observations.copy(), lanes.rewards.copy()))
        return seen

    one = Lanes([made], 12, seed=5)
    one.reset()
    play(one, range(40))
    saved = one.save()
    expected = play(one, range(40, 80))
    other = Lanes([made], 12, seed=99)
    other.load(saved)
    for mine, theirs in zip(play(other, range(40, 80)), expected, strict=True):
        assert np.array_equal(mine[0], theirs[0])
        assert np.array_equal(mine[1], theirs[1])
    with pytest.raises(TaskError, match="the saved lanes are others"):
        Lanes([made], 11, seed=5).load(saved)


def test_observations_are_normalised_and_bounded() -> None:
    made = tape([100.0, 104.0, 180.0, 100.0])
    normaliser = Normaliser(np.array([100.0, 0.0]), np.array([0.5, 1.0]), clip=10.0)
    lanes = Lanes([made], 1, seed=1, normaliser=normaliser, restarts=False)
    seen = [float(lanes.reset()[0, 0])]
    for _ in range(3):
        lanes.step(1)
        seen.append(float(lanes.observations[0, 0]))
    assert seen == [0.0, 2.0, 10.0, 0.0]


def test_normalisation_is_fitted_on_its_span_and_does_not_see_what_comes_after() -> None:
    closes = np.concatenate([wave(200), 1e4 + wave(200)])
    made = tape(closes)
    fitted = fit_normaliser([made], [Span(10, 150)], seed=1)
    assert fitted.clip == CLIP
    assert fitted.mean[0] == pytest.approx(closes[10:150].mean(), rel=1e-12)
    assert 1 / fitted.scale[0] == pytest.approx(closes[10:150].std(), rel=1e-12)
    assert 0.2 < fitted.mean[1] < 0.8  # an agent that acts by chance holds something half of the time
    changed = tape(np.concatenate([closes[:160], closes[160:] * 3]))
    again = fit_normaliser([changed], [Span(10, 150)], seed=1)
    assert np.array_equal(again.mean, fitted.mean)
    assert np.array_equal(again.scale, fitted.scale)


def test_feature_that_does_not_vary_is_only_moved() -> None:
    fitted = fit_normaliser([tape([7.0] * 40)], [Span(1, 39)], seed=1)
    assert fitted.mean[0] == 7.0
    assert fitted.scale[0] == 1.0


def test_column_that_the_tape_brings_is_observed_at_its_bar() -> None:
    task = Task(CASH, MINUTE, ("signal", "exposure"), columns=("signal",))
    signal = np.arange(50.0)
    made = Tape("A", bars(wave(50)), Market(InstrumentSpec("A")), task, {"signal": signal})
    lanes = Lanes([made], 1, seed=1, restarts=False)
    lanes.reset()
    lanes.place(0, 7)
    assert lanes.observations[0, 0] == 7.0
    lanes.step(1)
    assert lanes.observations[0, 0] == 8.0


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Lanes([tape(wave(50))], 0, seed=1), "0 lanes on 1 tapes"),
        (lambda: Lanes([], 4, seed=1), "4 lanes on 0 tapes"),
        (lambda: Lanes([tape(wave(50))], 2, 1, [Span(3, 51)]), "ends with bar 49"),
        (
            lambda: Lanes([tape(wave(50)), tape(wave(50), ruin=0.2)], 2, 1),
            "was prepared for another task",
        ),
        (lambda: tape(wave(10), features=("sma_20",)), "never complete"),
        (lambda: tape(wave(1)), "1 bars close on its tape"),
        (
            lambda: Tape(
                "A", bars(wave(20)), Market(InstrumentSpec("A")), Task(CASH, MINUTE, ("x",), columns=("x",))
            ),
            "the column 'x' must come with the tape, with 20 values",
        ),
    ],
)
def test_what_cannot_be_played_is_refused_with_why(make: Any, complaint: str) -> None:
    with pytest.raises(TaskError, match=complaint):
        make()


def test_longest_window_counts_the_bars_that_the_features_look_back() -> None:
    # sma_20 looks at 20 bars, and rings keep two more; 14 + 2 bars of an hour are 960 of a minute
    assert longest_window(("sma_20", "exposure"), MINUTE) == 22
    assert longest_window(("sma_20", "exposure", f"rsi_14@{60 * MINUTE}"), MINUTE) == 960
    assert longest_window(("exposure",), MINUTE) == 0


def test_bar_with_more_events_than_a_lane_keeps_is_played_all_the_same() -> None:
    # bars of 1,000 trades of 100 units; an order takes 1 % of each: 950 units fill in 950 parts
    rows = make_ticks([(i * MINUTE // 1000, 10.0 + 0.01 * (i % 3), 100.0) for i in range(3000)])
    task = Task(CASH, MINUTE, FEATURES)
    made = Tape("A", rows, Market(InstrumentSpec("A", participation=0.01)), task)
    lanes = Lanes([made], 1, 1, restarts=False)
    lanes.reset()
    lanes.step([2.0])
    assert int(lanes.state(0).accounts[0].fills) == 950  # 9,500 / 10
    assert lanes.observations[0, 1] == pytest.approx(0.95, abs=1e-3)
    kept = Lanes([made], 1, 1, restarts=False, events=1 << 12)
    kept.reset()
    kept.step([2.0])
    assert int(kept.state(0).clock[0].n_events) == 1 + 950


def test_lanes_without_a_length_begin_anywhere_and_go_on_to_the_end_of_the_span() -> None:
    made = tape(wave(400))
    lanes = Lanes([made], 64, seed=2)
    lanes.reset()
    starts = {int(lane.start) for lane in lanes.batch.lanes}
    assert len(starts) > 50
    assert {int(lane.last) for lane in lanes.batch.lanes} == {399}
    alone = Lanes([made], 1, seed=2, restarts=False)
    alone.reset()
    assert int(alone.batch.lanes[0].start) == made.ready


def test_episode_can_begin_at_the_first_bar_of_bars_that_are_not_cut_by_time() -> None:
    rows = make_ticks([(i * 10**9, 10.0 + 0.01 * (i % 5), 1.0) for i in range(400)])
    task = Task(CASH, 0, ("exposure", "bars_held"), bar_kind=BarKind.TICKS, bar_size=4.0)
    lanes = Lanes([Tape("A", rows, Market(InstrumentSpec("A")), task)], 1, 1, restarts=False)
    lanes.reset()
    lanes.place(0, 0)
    lanes.step([2.0])
    assert lanes.observations[0].tolist() == pytest.approx([0.95, 1.0], abs=1e-2)
