"""Q-learning by hand on a few transitions, and against value iteration on a small process."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from engine.models import Array
from envs.kernel import Ended
from envs.qlearning.generator import draw
from envs.qlearning.schedules import Schedule
from envs.qlearning.update import Learner, choose, learned, make_learner, visited
from tests.builders import plain
from tests.unit.envs.qlearning.toys import (
    CHANCES,
    ENDS,
    REWARDS,
    Toy,
    make_toy,
    optimal,
    plain_learning,
    run,
    run_plain,
)

SELL, HOLD, BUY = 0, 1, 2

GAMMA = 0.8
EXPLORING = Schedule(0.4, 0.4)


def make(seed: int = 1, lanes: int = 1, steps: int = 1, **settings: Any) -> Learner:
    given: dict[str, Any] = {
        "epsilon": Schedule(0.0, 0.0),
        "learning_rate": Schedule(0.5, 0.5),
        "gamma": 0.5,
        "double": False,
    }
    return make_learner(3, lanes, steps, np.random.SeedSequence(seed), **(given | settings))


def tables(learner: Learner) -> Array:
    return learner.q.reshape(3, -1, 3)


def play(learner: Learner, steps: list[tuple[int, float, int]]) -> None:
    """Episodes that begin in state 0, with these steps: (state, reward, Ended)."""
    script = iter(steps)
    plain_learning(lambda world, i: 0, lambda world, i, action: next(script))(learner, None, len(steps))


STORY = [(1, 1.0, Ended.NO), (2, 2.0, Ended.NO)]


def test_one_step_returns_are_bootstrapped_from_the_next_state() -> None:
    learner = make()
    play(learner, [*STORY, (0, 4.0, Ended.NO)])
    # Q(0) = 1/2 (1 + 1/2 * 0) = 0.5; Q(1) = 1/2 * 2 = 1; Q(2) = 1/2 (4 + 1/2 Q(0)) = 1/2 * 4.25
    assert learned(learner)[:, SELL].tolist() == [0.5, 1.0, 2.125]
    assert visited(learner).tolist() == [[1, 0, 0]] * 3


def test_two_step_returns_wait_for_the_second_reward_and_end_with_the_episode() -> None:
    learner = make(n_step=2)
    play(learner, [*STORY, (0, 4.0, Ended.TERMINATED)])
    # after the second step: Q(0) = 1/2 (1 + 1/2 * 2 + 1/4 V(2)) = 1, with V(2) = 0
    # at the end, where nothing follows: Q(2) = 1/2 * 4 = 2; Q(1) = 1/2 (2 + 1/2 * 4) = 2
    assert learned(learner)[:, SELL].tolist() == [1.0, 2.0, 2.0]


def test_truncated_episode_is_bootstrapped_from_where_it_was_cut() -> None:
    learner = make(n_step=2)
    play(learner, [*STORY, (0, 4.0, Ended.TRUNCATED)])
    # as before Q(0) = 1 = V(0); Q(2) = 1/2 (4 + 1/2 * 1) = 2.25; Q(1) = 1/2 (2 + 1/2 * 4.5) = 2.125
    assert learned(learner)[:, SELL].tolist() == [1.0, 2.125, 2.25]


def test_return_does_not_reach_into_the_next_episode() -> None:
    learner = make(n_step=3)
    play(learner, [(1, 1.0, Ended.TERMINATED), (1, 0.0, Ended.NO), (2, 100.0, Ended.NO)])
    assert learned(learner)[0, SELL] == 0.5
    assert (learner.counts.episodes[0], learner.counts.updates[0], learner.lanes.pending[0]) == (1, 1, 2)  # type: ignore[attr-defined]


def test_long_returns_go_round_the_ring() -> None:
    learner = make(n_step=3, gamma=1.0, learning_rate=Schedule(1.0, 1.0))
    play(learner, [(1, 1.0, Ended.NO), (2, 2.0, Ended.NO), (0, 4.0, Ended.NO), (1, 8.0, Ended.NO)])
    # Q(0) = 1 + 2 + 4 + V(0), which was 0; Q(1) = 2 + 4 + 8 + V(1), which was 0; Q(2) waits
    assert learned(learner)[:, SELL].tolist() == [7.0, 14.0, 0.0]
    play(learner, [(2, 16.0, Ended.TERMINATED)])
    # pending: 4 from state 2, 8 from 0, 16 from 1: Q(2) = 28, Q(0) = 24, Q(1) = 16 at a rate of 1
    assert learned(learner)[:, SELL].tolist() == [24.0, 16.0, 28.0]


def test_returns_end_where_the_agent_explores() -> None:
    learner = make(n_step=5, epsilon=Schedule(1.0, 1.0), seed=2)
    tables(learner)[:, 0, HOLD] = [10.0, 20.0, 30.0]
    probe = copy.deepcopy(learner)
    actions = []
    for _ in range(2):  # each choice draws whether it explores, then what
        plain(draw)(probe.random[0])
        actions.append(plain(draw)(probe.random[0]) % 3)
    assert actions[1] != HOLD, "another seed is needed"
    play(learner, [(1, 1.0, Ended.NO), (2, 2.0, Ended.NO)])
    # before the second choice, which is not the best: Q(0, first) += 1/2 (1 + 1/2 V(1) - Q(0, first)), V(1) = 20
    before = 10.0 if actions[0] == HOLD else 0.0
    assert learned(learner)[0, actions[0]] == before + 0.5 * (1 + 10 - before)
    assert learner.lanes.pending[0] == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", range(4))
def test_double_learning_values_the_choice_of_one_table_by_the_other(seed: int) -> None:
    learner = make(double=True, gamma=1.0, learning_rate=Schedule(1.0, 1.0), seed=seed)
    tables(learner)[1, 0] = [1.0, 3.0, 0.0]
    tables(learner)[1, 1] = [5.0, 7.0, 9.0]
    probe = copy.deepcopy(learner)
    plain(draw)(probe.random[0])  # whether it explores
    coin = plain(draw)(probe.random[0]) % 2
    play(learner, [(1, 0.0, Ended.NO)])
    # table 0 thinks HOLD best, of which table 1 says 7; table 1 thinks BUY best, of which table 0 says 0
    assert tables(learner)[0, coin, SELL] == [7.0, 0.0][coin]
    assert tables(learner)[0, 1 - coin, SELL] == 0.0
    visits = learner.visits.reshape(3, 2, 3)
    assert visits[0].sum() == visits[0, coin, SELL] == 1


def test_rate_by_visits_of_power_one_is_the_mean_of_the_returns() -> None:
    learner = make(visit_power=1.0, gamma=0.0, learning_rate=Schedule(1.0, 1.0))
    rewards = [3.0, -1.0, 7.0, 5.0]
    play(learner, [(0, r, Ended.NO) for r in rewards])
    assert learned(learner)[0].max() == pytest.approx(np.mean(rewards), rel=1e-12)


def test_choice_without_exploration_is_the_first_of_the_best_of_both_tables() -> None:
    learner = make(double=True)
    tables(learner)[2, 0] = [1.0, 2.0, 3.0]
    tables(learner)[2, 1] = [0.5, 3.0, 2.0]  # sums 1.5, 5, 5
    assert plain(choose)(learner, 2, 0.0) == (HOLD, True)
    tables(learner)[2, 1, BUY] += 0.1
    assert plain(choose)(learner, 2, 0.0) == (BUY, True)


def test_exploring_takes_each_action_as_often_and_knows_the_best() -> None:
    learner = make()
    tables(learner)[0, 0] = [0.0, 1.0, 1.0]
    taken = [plain(choose)(learner, 0, 0.6) for _ in range(6000)]
    # not exploring 40 %: HOLD; each action 20 % more. 3 deviations of 6,000 draws at 20 %: 1.5 %
    shares = np.bincount([action for action, _ in taken]) / 6000
    assert shares == pytest.approx([0.2, 0.6, 0.2], abs=0.02)
    assert {greedy for action, greedy in taken if action == SELL} == {False}
    assert {greedy for action, greedy in taken if action != SELL} == {True}  # BUY is as good


# --- against the exact solution


def trained(toy: Toy, **settings: Any) -> Array:
    steps = 600_000
    given: dict[str, Any] = {
        "epsilon": EXPLORING,
        "learning_rate": Schedule(0.3, 0.001, 0.8, "exponential"),
        "gamma": GAMMA,
    }
    lanes = len(toy.places)
    learner = make(steps=steps, lanes=lanes, **(given | settings))
    run(learner, toy, steps // lanes)
    return learned(learner)


EXACT = optimal(CHANCES, REWARDS, ENDS, GAMMA)


@pytest.mark.parametrize(
    "settings",
    [
        {"double": False},
        {"double": True},
        {"double": False, "n_step": 4},
        {"double": True, "n_step": 4},
        {"double": True, "learning_rate": Schedule(1.0, 1.0), "visit_power": 0.8},
    ],
)
def test_learned_values_are_those_of_value_iteration(settings: dict[str, Any]) -> None:
    # values from 0.3 to 1.5; the noise that is left is about 0.005
    assert trained(make_toy(CHANCES, REWARDS, ENDS, lanes=4), **settings) == pytest.approx(EXACT, abs=0.02)


@pytest.mark.parametrize("n_step", [1, 3])
def test_values_of_truncated_episodes_are_those_of_endless_ones(n_step: int) -> None:
    toy = make_toy(CHANCES, REWARDS, np.zeros((3, 3)), lanes=3, horizon=2)
    exact = optimal(CHANCES, REWARDS, np.zeros((3, 3)), GAMMA)
    assert trained(toy, n_step=n_step) == pytest.approx(exact, abs=0.03)


def test_rewards_of_the_wrong_sign_are_not_taken_for_the_right_ones() -> None:
    wrong = trained(make_toy(CHANCES, -np.array(REWARDS), ENDS))
    assert np.abs(wrong - EXACT).max() > 0.5
    assert (wrong.argmax(axis=1) != EXACT.argmax(axis=1)).any()


def test_states_shifted_by_one_are_not_taken_for_the_right_ones() -> None:
    shifted = [[row[1:] + row[:1] for row in state] for state in CHANCES]
    assert np.abs(trained(make_toy(shifted, REWARDS, ENDS)) - EXACT).max() > 0.1


# --- the same again


def both(lanes: int = 3) -> tuple[Learner, Toy]:
    learner = make(
        lanes=lanes,
        steps=3000,
        n_step=3,
        double=True,
        visit_power=0.6,
        epsilon=Schedule(1.0, 0.1, 0.5),
        learning_rate=Schedule(0.5, 0.01, 0.9, "exponential"),
    )
    return learner, make_toy(CHANCES, REWARDS, ENDS, lanes, horizon=7)


def bytes_of(*states: Any) -> list[bytes]:
    return [array.tobytes() for state in states for array in state]


def test_plain_python_learns_the_same_bit_for_bit_as_compiled_code() -> None:
    compiled, python = both(), both()
    run(*compiled, 1000)
    run_plain(*python, 1000)
    assert compiled[0].counts.step[0] == 3000  # type: ignore[attr-defined]
    assert bytes_of(*compiled) == bytes_of(*python)


def test_how_a_training_is_cut_into_calls_changes_nothing() -> None:
    whole, cut = both(), both()
    run(*whole, 1000)
    for sweeps in (1, 499, 0, 500):
        run(*cut, sweeps)
    assert bytes_of(*whole) == bytes_of(*cut)


def test_another_seed_learns_another_table() -> None:
    first, other = both(), both()
    other[0].random.x1 += 1  # type: ignore[attr-defined]
    run(*first, 100)
    run(*other, 100)
    assert first[0].q.tobytes() != other[0].q.tobytes()
