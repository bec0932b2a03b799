from __future__ import annotations

from itertools import product
from math import log1p

import numpy as np
import pytest

from envs.controls.policies import Array, ControlError
from envs.controls.solutions import Problem, best_seen, optimum, reward_of

BUY_UP, NEVER, KEEP_LONG = [[0, 1], [0, 1]], [[0, 0], [0, 0]], [[1, 1], [1, 1]]


def two_regimes(down: float, up: float, turn: float) -> Problem:
    return Problem(np.array([[1 - turn, turn], [turn, 1 - turn]]), np.array([down, up]))


def played(problem: Problem, shows: Array, targets: Array, fee_bps: float) -> float:
    """The reward per step by playing the chain of (state, position) on, from flat, and averaging: no linear algebra."""
    m = len(problem.expected)
    enter, leave = log1p(fee_bps * 1e-4), -log1p(-fee_bps * 1e-4)
    step, reward = np.zeros((2 * m, 2 * m)), np.zeros(2 * m)
    for z, held, seen in product(range(m), range(2), range(shows.shape[1])):
        to = int(targets[held, seen])
        step[held * m + z, to * m : to * m + m] += shows[z, seen] * problem.chain[z]
        cost = enter if to > held else leave if to < held else 0.0
        reward[held * m + z] += shows[z, seen] * (to * problem.expected[z] - cost)
    start = np.zeros(2 * m)
    start[:m] = 1.0 / m
    # the mean of 2^20 steps, without the first 2^20: rewards of 2, 4, 8 ... steps from powers of the chain
    for _ in range(20):
        reward, step = (reward + step @ reward) / 2.0, step @ step
    return float(start @ step @ reward)


def any_problem(random: np.random.Generator, m: int) -> Problem:
    chain = random.dirichlet(np.full(m, 0.5), m) * 0.5 + np.eye(m) * 0.5
    return Problem(chain, random.normal(0.0, 0.001, m))


def all_targets(k: int) -> list[Array]:
    return [np.array(t, np.int8).reshape(2, k) for t in product((0, 1), repeat=2 * k)]


@pytest.mark.parametrize(
    ("down", "up", "fee", "targets", "reward"),
    [
        # Regimes turn with 5 % a bar. Long in rises only: half the time, and 0.025 round trips a bar, each
        # log((1 + c) / (1 - c)) = 2 c + 2/3 c^3 of a fee c
        # +-10 bps: 5 - 0.025 x 20.0000 = 4.5 bps a bar at 10 bps, and worth it up to a round trip of 200 bps:
        # at 99.9 bps 5 - 0.025 x (199.8 + 0.0066) = 0.00483
        (-0.0010, 0.0010, 10.0, BUY_UP, 4.5e-4),
        (-0.0010, 0.0010, 99.9, BUY_UP, 4.83e-7),
        (-0.0010, 0.0010, 100.1, NEVER, 0.0),
        # -4 and +16 bps: long always earns 6; in rises only 8 - 0.025 x 2 fee, better below a fee of 40 bps
        (-0.0004, 0.0016, 39.9, BUY_UP, 6.005e-4),
        (-0.0004, 0.0016, 40.1, KEEP_LONG, 6e-4),
        # falls on balance, and a round trip that costs more than a rise brings
        (-0.0016, 0.0004, 50.0, NEVER, 0.0),
    ],
)
def test_two_regimes_are_traded_as_their_cost_allows(
    down: float, up: float, fee: float, targets: list[list[int]], reward: float
) -> None:
    found, gain = optimum(two_regimes(down, up, 0.05), fee)
    if targets == NEVER:  # who holds at the start may keep or sell; who is flat must stay so
        assert found[0].tolist() == [0, 0]
    elif targets == KEEP_LONG:  # who is flat buys, at once or in the next rise; nobody sells
        assert found[1].tolist() == [1, 1]
        assert found[0, 1] == 1
    else:
        assert found.tolist() == targets
    assert gain == pytest.approx(reward, abs=2e-9)


def test_free_trading_earns_the_rises() -> None:
    found, gain = optimum(two_regimes(-0.0010, 0.0030, 0.2), 0.0)
    assert found.tolist() == BUY_UP
    assert gain == pytest.approx(0.0015, rel=1e-9)


def test_optimum_is_the_best_of_all_tables() -> None:
    random = np.random.default_rng(1)
    for fee in (0.0, 3.0, 10.0, 30.0, 300.0):
        problem = any_problem(random, 3)
        rewards = [played(problem, np.eye(3), t, fee) for t in all_targets(3)]
        targets, gain = optimum(problem, fee)
        assert gain == pytest.approx(max(rewards), abs=1e-9)
        assert played(problem, np.eye(3), targets, fee) == pytest.approx(gain, abs=1e-9)


def test_reward_of_any_table_is_what_playing_it_brings() -> None:
    random = np.random.default_rng(2)
    for _ in range(10):
        problem = any_problem(random, 4)
        shows = random.dirichlet(np.ones(3), 4)
        targets = random.integers(0, 2, (2, 3)).astype(np.int8)
        assert reward_of(problem, shows, targets, 20.0) == pytest.approx(
            played(problem, shows, targets, 20.0), abs=1e-9
        )


def test_policy_that_never_buys_earns_nothing_whatever_it_would_sell() -> None:
    problem = two_regimes(-0.001, 0.001, 0.05)
    for long in ([0, 0], [1, 1], [0, 1]):
        assert reward_of(problem, np.eye(2), np.array([[0, 0], long], np.int8), 20.0) == 0.0


@pytest.mark.parametrize("fee", [0.0, 5.0, 20.0, 60.0])
def test_best_seen_through_a_mistaken_feature_is_the_best_of_all_tables(fee: float) -> None:
    regimes = Problem(
        np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9]]), np.array([-0.002, 0.0, 0.002])
    )
    shows = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    rewards = [played(regimes, shows, t, fee) for t in all_targets(3)]
    targets, gain = best_seen(regimes, shows, fee)
    assert gain == pytest.approx(max(rewards), abs=1e-9)
    assert played(regimes, shows, targets, fee) == pytest.approx(gain, abs=1e-9)
    assert gain <= optimum(regimes, fee)[1] + 1e-12


def test_best_seen_of_six_states_in_four_bins_is_the_best_of_all_tables() -> None:
    random, x = np.random.default_rng(5), np.linspace(-2, 2, 6)
    chain = np.exp(-((x - 0.9 * x[:, None]) ** 2) / 0.5)
    shows = np.eye(4)[[0, 1, 2, 3, 1, 0]]
    for fee in (2.0, 5.0, 10.0, 20.0) * 4:
        problem = Problem(chain / chain.sum(axis=1, keepdims=True), random.normal(0.0, 0.001, 6))
        best = max(reward_of(problem, shows, t, fee) for t in all_targets(4))
        assert best_seen(problem, shows, fee)[1] == pytest.approx(best, abs=1e-10)


def test_best_seen_of_states_that_show_as_themselves_is_the_optimum() -> None:
    random = np.random.default_rng(4)
    for fee in (0.0, 10.0, 30.0):
        problem = any_problem(random, 5)
        assert best_seen(problem, np.eye(5), fee)[1] == pytest.approx(optimum(problem, fee)[1], abs=1e-10)


def test_observation_that_never_shows_changes_nothing() -> None:
    problem = two_regimes(-0.001, 0.001, 0.05)
    shows = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert best_seen(problem, shows, 10.0)[1] == pytest.approx(optimum(problem, 10.0)[1], abs=1e-12)


def test_stationary_shares_of_unequal_regimes_are_in_proportion_to_their_length() -> None:
    # they last 10 and 40 bars
    problem = Problem(np.array([[0.9, 0.1], [0.025, 0.975]]), np.zeros(2))
    assert problem.stationary == pytest.approx([0.2, 0.8], abs=1e-12)


@pytest.mark.parametrize(
    ("chain", "expected", "problem"),
    [
        (np.eye(2), np.zeros(3), "shape"),
        (np.full((2, 2), 0.4), np.zeros(2), "sum to 1"),
        (np.array([[1.5, -0.5], [0.5, 0.5]]), np.zeros(2), ">= 0"),
        (np.full((2, 2), 0.5), np.array([0.0, np.nan]), "finite"),
    ],
)
def test_problem_that_cannot_be_is_refused(chain: Array, expected: Array, problem: str) -> None:
    with pytest.raises(ControlError, match=problem):
        Problem(chain, expected)
