"""TradingEnv: an episode by hand, its ends, its starts, and Gymnasium's own checker."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env

from engine.records import SizeKind
from engine.spec import AccountSpec, InstrumentSpec, MarginSpec
from envs.errors import TaskError
from envs.lanes import Normaliser
from envs.spans import Span
from envs.tapes import Tape
from envs.task import Actions, Market, Reward, RewardKind, Task
from envs.trading_env import TradingEnv
from tests.builders import MINUTE, make_bars

FLAT = [(100, 100, 100, 100)]
DAY_OF_FIVE = [*FLAT, (100, 110, 100, 110), (112, 112, 105, 105), (106, 106, 100, 100), (100, 120, 100, 120)]
MARKET = Market(InstrumentSpec("A", taker_bps=10.0))
TASK = Task(
    AccountSpec("a", 10_000.0),
    MINUTE,
    ("log_return", "exposure"),
    Actions(size_kind=SizeKind.UNITS, size=10.0),
    Reward(RewardKind.PROFIT),
)
TARGETS = replace(
    TASK, account=AccountSpec("a", 10_000.0, margin=MarginSpec(2.0)), actions=Actions(True, True, size=1.5)
)


def tape(bars: Any = DAY_OF_FIVE, task: Task = TASK) -> Tape:
    return Tape("A", make_bars(bars), MARKET, task)


def wave(n: int, task: Task = TASK) -> Tape:
    """A price that goes up and down, closing differently at each bar."""
    closes = [100 + 10 * math.sin(i / 7) + i / 100 for i in range(n)]
    return tape([(c, c, c, c) for c in closes], task)


def test_episode_by_hand() -> None:
    env = TradingEnv([tape()])
    observation, info = env.reset()
    # features are there from the second close on, which comes two minutes after the start
    assert observation == pytest.approx([math.log(110 / 100), 0.0])
    assert observation.dtype == np.float32
    assert (info["time"], info["bar"], info["price"], info["fills"]) == (2 * MINUTE, 1, 110.0, [])
    assert (info["cash"], info["equity"], info["position"], info["drawdown"]) == (
        10_000.0,
        10_000.0,
        0.0,
        0.0,
    )

    observation, reward, terminated, truncated, info = env.step(2)
    # 10 at the next open, 112: 1,120 and a fee of 1.12; 10,000 - 1,121.12 = 8,878.88, and 10 at 105 are 1,050
    assert info["fills"] == [
        {"ts_event": 2 * MINUTE, "side": "BUY", "last_qty": 10.0, "last_px": 112.0, "fee": 1.12}
    ]
    assert (info["cash"], info["equity"], info["position"]) == (8_878.88, 9_928.88, 10.0)
    assert reward == pytest.approx(-71.12 / 10_000)
    assert info["drawdown"] == pytest.approx(71.12 / 10_000)
    assert observation == pytest.approx([math.log(105 / 110), 1_050 / 9_928.88])
    assert (terminated, truncated) == (False, False)

    _, reward, _, _, info = env.step(1)
    # the price falls by 5: equity by 50, to 9,878.88
    assert (info["equity"], info["fills"], info["price"]) == (9_878.88, [], 100.0)
    assert reward == pytest.approx(-50 / 10_000)
    assert info["drawdown"] == pytest.approx(121.12 / 10_000)

    observation, reward, terminated, truncated, info = env.step(0)
    # 10 sold at the open, 100: 1,000 less a fee of 1; what comes after does not matter to it
    assert info["fills"][0]["side"] == "SELL"
    assert (info["cash"], info["equity"], info["position"], info["fees"]) == (9_877.88, 9_877.88, 0.0, 2.12)
    assert reward == pytest.approx(-1 / 10_000)
    assert observation[1] == 0.0
    assert (terminated, truncated) == (False, True)  # that was the last bar


def test_observation_is_normalised_and_bounded() -> None:
    env = TradingEnv([tape()], normaliser=Normaliser(np.array([0.05, 0.0]), np.array([10.0, 100.0]), 3.0))
    assert env.reset()[0] == pytest.approx([(math.log(1.1) - 0.05) * 10, 0.0])
    # an exposure of 1,050 / 9,928.88 times 100 is 10.6, the return times 10 is less than -0.4
    assert env.step(2)[0] == pytest.approx([(math.log(105 / 110) - 0.05) * 10, 3.0])


def test_ruin_terminates_and_does_not_truncate_though_the_tape_ends_too() -> None:
    task = replace(TASK, actions=Actions(size=0.95))
    env = TradingEnv([tape([*FLAT * 3, (100, 100, 4, 4)], task)])
    env.reset()
    env.step(1)
    # 94 at 100 cost 9,400 and fees; at 4 they are 376 and with the cash of 590 no more than a tenth of 10,000
    _, _, terminated, truncated, info = env.step(2)
    assert info["equity"] == pytest.approx(10_000 - 94 * 100 * 1.001 + 94 * 4)
    assert info["equity"] <= 1_000
    assert (terminated, truncated) == (True, False)


def test_episode_is_truncated_after_its_bars() -> None:
    env = TradingEnv([wave(60, replace(TASK, episode_bars=7))])
    env.reset(options={"start": 20})
    ends = [env.step(1)[2:] for _ in range(7)]
    assert [truncated for _, truncated, _ in ends] == [False] * 6 + [True]
    assert [info["bar"] for _, _, info in ends] == [*range(21, 28)]


def test_targets_reach_below_zero_and_are_bounded() -> None:
    env = TradingEnv([tape(FLAT * 6, TARGETS)])
    env.reset()
    # twice below the bound counts as -1: short 1.5 times the equity of 10,000, less fees: 149 at 100
    info = env.step(np.array([-2.0], np.float32))[4]
    assert info["position"] == -149.0
    # half of the size: 0.75 of 9,985.10 (fees 14.90) are 7,488.8, with fees of 0.1 % 74 whole units
    info = env.step([0.5])[4]
    assert info["position"] == 74.0
    assert info["fills"][0]["last_qty"] == 223.0


def test_spaces_are_those_of_the_task() -> None:
    assert TradingEnv([tape()]).action_space == spaces.Discrete(3)
    assert TradingEnv([tape(task=TARGETS)]).action_space == spaces.Box(-1.0, 1.0, (1,), np.float32)
    long_only = replace(TARGETS, actions=replace(TARGETS.actions, short=False))
    assert TradingEnv([tape(task=long_only)]).action_space == spaces.Box(0.0, 1.0, (1,), np.float32)
    normaliser = Normaliser(np.zeros(2), np.ones(2), 5.0)
    space = TradingEnv([tape()], normaliser=normaliser).observation_space
    assert space == spaces.Box(-5.0, 5.0, (2,), np.float32)


def test_starts_are_drawn_by_the_seed_where_the_episode_has_room() -> None:
    task = replace(TASK, episode_bars=10)
    tapes = [wave(40, task), wave(60, task)]
    env = TradingEnv(tapes, [Span(5, 25), Span(1, 60)])

    def starts(n: int, seed: int) -> list[tuple[int, int]]:
        infos = [env.reset(seed=seed)[1], *(env.reset()[1] for _ in range(n - 1))]
        return [(info["tape"], info["bar"]) for info in infos]

    drawn = starts(3000, 7)
    assert drawn == starts(3000, 7)
    assert drawn != starts(3000, 8)
    # 10 steps from bar 14 end at bar 24, the last of the first span; from 49 at 59, the last of the second
    assert {bar for tape, bar in drawn if tape == 0} == {*range(5, 15)}
    assert {bar for tape, bar in drawn if tape == 1} == {*range(1, 50)}
    assert 1300 < sum(tape for tape, _ in drawn) < 1700


def test_start_and_tape_are_those_of_the_options() -> None:
    env = TradingEnv([wave(40), wave(60)])
    info = env.reset(options={"tape": 1, "start": 33})[1]
    assert (info["tape"], info["bar"], info["time"]) == (1, 33, 34 * MINUTE)
    info = env.reset(options={"tape": 0})[1]
    assert (info["tape"], info["bar"]) == (0, 1)  # no length of episodes: from the first bar with features


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"begin": 3}, "no option 'begin'; there are start and tape"),
        ({"tape": 1}, "no tape 1; there are 0 to 0"),
        ({"start": 39}, "it can begin from 1 to 38"),
        ({"start": 0}, "it can begin from 1 to 38"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(TaskError, match=said):
        TradingEnv([wave(40)]).reset(options=options)


def test_step_outside_an_episode_is_refused() -> None:
    env = TradingEnv([tape()])
    with pytest.raises(ResetNeeded):
        env.step(1)
    env.reset(options={"start": 3})
    assert env.step(1)[3]
    with pytest.raises(ResetNeeded):
        env.step(1)


@pytest.mark.parametrize("action", [3, -1, 0.5, None, np.array([1])])
def test_what_is_no_discrete_action_is_refused(action: Any) -> None:
    env = TradingEnv([tape()])
    env.reset()
    with pytest.raises(ValueError, match="there are 0"):
        env.step(action)


@pytest.mark.parametrize("action", [[math.nan], 0.5, [0.1, 0.2]])
def test_what_is_no_target_is_refused(action: Any) -> None:
    env = TradingEnv([tape(FLAT * 6, TARGETS)])
    env.reset()
    with pytest.raises(ValueError, match="one finite number"):
        env.step(action)


def test_rendering_is_one_line() -> None:
    env = TradingEnv([tape()], render_mode="ansi")
    env.reset()
    env.step(2)
    assert env.render() == ("1970-01-01T00:03:00Z A 105.00: position 10, equity 9,928.88 USD, drawdown 0.7%")
    assert TradingEnv([tape()]).render() is None
    with pytest.raises(ValueError, match="no render_mode 'human'"):
        TradingEnv([tape()], render_mode="human")


def test_copy_goes_its_own_way() -> None:
    env = TradingEnv([wave(40)], [Span(4, 30)])
    env.reset()
    copy = pickle.loads(pickle.dumps(env))
    copy.reset()
    for _ in range(3):
        copy.step(2)
    assert copy.spans == (Span(4, 30),)
    observation, _, _, _, info = env.step(1)
    assert (info["bar"], info["position"], observation[1]) == (5, 0.0, 0.0)


@pytest.mark.parametrize(
    ("task", "normaliser"),
    [
        (TASK, None),
        (replace(TARGETS, episode_bars=20), None),
        (TARGETS, Normaliser(np.zeros(2), np.ones(2), 5.0)),
    ],
)
def test_gymnasium_finds_no_fault(task: Task, normaliser: Normaliser | None) -> None:
    # its warnings are errors here
    env = gymnasium.make(
        "envs.trading_env:papertape/Trading-v0", tapes=[wave(80, task)], normaliser=normaliser
    )
    assert isinstance(env.unwrapped, TradingEnv)
    check_env(env.unwrapped)
