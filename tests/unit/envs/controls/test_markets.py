from __future__ import annotations

from itertools import product
from math import erfc, exp, log, pi, sqrt
from statistics import NormalDist

import numpy as np
import pytest

from envs.controls.markets import (
    FEE_BPS,
    NO_EDGES,
    Leaked,
    Market,
    MarkovSwitching,
    OrnsteinUhlenbeck,
    Shuffled,
)
from envs.controls.policies import Array, BinPolicy, ControlError, rewards_of, standard_error, switch_costs
from envs.controls.solutions import optimum

REAL = np.random.default_rng(0).standard_t(4, 500) * 0.01 + 0.002  # with a drift that must go
MARKETS: list[Market] = [MarkovSwitching(), OrnsteinUhlenbeck(), Leaked(), Shuffled(REAL)]
PAYING: list[Market] = [
    MarkovSwitching(),
    MarkovSwitching(mistaken=0.1),
    MarkovSwitching((-0.0004, 0.0016), (0.001, 0.004), (0.9, 0.95)),
    OrnsteinUhlenbeck(),
    OrnsteinUhlenbeck(half_life=20.0, deviation=0.03),
    Leaked(),
    Leaked(error=0.003),
]


def named(market: Market) -> str:
    return type(market).__name__


def band(low: float, high: float) -> BinPolicy:
    return BinPolicy(np.array([low, high]), np.array([[1, 0, 0], [1, 1, 0]], np.int8))


def quantiles(k: int, width: float = 1.0) -> Array:
    return np.array([NormalDist(0, width).inv_cdf(i / k) for i in range(1, k)])


@pytest.mark.parametrize("market", MARKETS, ids=named)
def test_bars_open_where_the_last_closed_and_hold_their_prices(market: Market) -> None:
    path = market.paths(seed=1, n=500)
    bars = path.bars
    assert all(column.shape == (500,) for column in (*bars.values(), *path.columns.values()))
    assert np.array_equal(bars["open"][1:], bars["close"][:-1])
    assert np.array_equal(bars["high"], np.maximum(bars["open"], bars["close"]))
    assert np.array_equal(bars["low"], np.minimum(bars["open"], bars["close"]))
    assert np.all(bars["low"] > 0)
    assert path.returns == pytest.approx(np.log(bars["close"] / bars["open"])[1:], abs=1e-14)
    assert path.expected.shape == path.returns.shape
    assert tuple(path.columns) == market.features


@pytest.mark.parametrize("market", MARKETS, ids=named)
def test_path_is_a_function_of_its_seed(market: Market) -> None:
    one, same, other = (market.paths(seed, 100).close for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.any(one[1:] == other[1:])


@pytest.mark.parametrize("market", PAYING, ids=named)
def test_solved_reward_is_what_the_policy_earns_on_paths(market: Market) -> None:
    solution = market.solve(FEE_BPS)
    for path in (market.paths(seed, 400_000) for seed in (1, 2)):
        positions = solution.policy.positions(path.columns[market.features[0]][:-1])
        for returns in (path.returns, path.expected):
            rewards = rewards_of(positions, returns, FEE_BPS)
            error = standard_error(rewards)
            assert error < 0.06 * solution.reward_per_step
            assert abs(rewards.mean() - solution.reward_per_step) < 3.5 * error


@pytest.mark.parametrize("market", MARKETS, ids=named)
def test_always_long_earns_nothing_by_default(market: Market) -> None:
    assert market.always_long() == pytest.approx(0.0, abs=1e-12)
    assert np.mean([market.paths(seed, 2_000).returns.sum() for seed in range(200)]) == pytest.approx(
        0.0, abs=0.12
    )


def test_paths_begin_anywhere_in_the_long_run() -> None:
    seeds = range(2_000)
    first = np.array([OrnsteinUhlenbeck().paths(seed, 2).columns["deviation"][0] for seed in seeds])
    assert first.mean() == pytest.approx(0.0, abs=0.07)
    assert first.std() == pytest.approx(1.0, abs=0.05)
    market = MarkovSwitching((0.0, 0.0), (0.1, 0.1), (0.9, 0.975))  # they last 10 and 40 bars
    first = np.array([market.paths(seed, 2).columns["regime"][0] for seed in seeds])
    assert first.mean() == pytest.approx(0.8, abs=0.03)


def test_regime_shows_before_the_return_that_it_governs() -> None:
    market = MarkovSwitching((-0.01, 0.02), (0.001, 0.003), (0.9, 0.8))
    path = market.paths(1, 100_000)
    regime = path.columns["regime"][:-1]
    # they last 10 and 5 bars
    assert np.mean(regime == 0) == pytest.approx(2 / 3, abs=0.02)
    for k in (0, 1):
        returns = path.returns[regime == k]
        assert returns.mean() == pytest.approx(market.drift[k], abs=1e-4)
        assert returns.std() == pytest.approx(market.volatility[k], rel=0.02)
        assert np.mean(regime[1:][regime[:-1] == k] == k) == pytest.approx(market.stay[k], abs=0.01)
    assert np.array_equal(path.expected, np.array(market.drift)[regime.astype(int)])


def test_mistaken_regime_shows_as_each_other_one_as_often_as_said() -> None:
    plain, mistaken = (MarkovSwitching(mistaken=m).paths(2, 200_000) for m in (0.0, 0.3))
    assert np.array_equal(plain.close, mistaken.close)
    off = (mistaken.columns["regime"] - plain.columns["regime"]) % 3
    assert [np.mean(off == k) for k in range(3)] == pytest.approx([0.7, 0.15, 0.15], abs=0.005)


def test_quiet_regime_keeps_what_is_held_and_the_reward_is_what_it_is_by_hand() -> None:
    # Regimes last 12.5, 6.67 and 12.5 bars and are visited equally often, once in 31.67 bars each.
    # Before a rise there was a fall (1/2) or a quiet time (1/2), and before that a fall or a rise (1/2 each): in 1/4 of all
    # rises one is still long from the rise before, 3/4 are bought. With a round trip at 40 bps, that is
    # (10 x 12.5 - 3/4 x 40) / 31.67 = 95 / 31.67 = 3.000 bps.
    solution = MarkovSwitching().solve(20.0)
    assert solution.policy.edges.tolist() == [0.5, 1.5]
    assert solution.policy.targets.tolist() == [[0, 0, 1], [0, 1, 1]]
    assert solution.reward_per_step == pytest.approx(3.0e-4, abs=1e-9)


def test_reverting_price_has_the_memory_and_the_spread_it_was_given() -> None:
    market = OrnsteinUhlenbeck(half_life=4.0, deviation=0.05, price=50.0)
    path = market.paths(1, 200_000)
    x = np.log(path.close / 50.0)
    assert x.std() == pytest.approx(0.05, rel=0.02)
    assert path.columns["deviation"] == pytest.approx(x / 0.05, abs=1e-10)
    for lag in (1, 4, 8):  # halves every 4 bars
        assert np.corrcoef(x[:-lag], x[lag:])[0, 1] == pytest.approx(0.5 ** (lag / 4), abs=0.01)
    slope, intercept = np.polyfit(path.expected, path.returns, 1)
    assert slope == pytest.approx(1.0, abs=0.02)
    assert intercept == pytest.approx(0.0, abs=2e-4)


def test_free_trading_of_a_reverting_price_is_long_below_its_mean() -> None:
    market = OrnsteinUhlenbeck()
    solution = market.solve(0.0)
    assert solution.policy.edges == pytest.approx([0.0], abs=1e-12)
    assert solution.policy.targets.tolist() == [[1, 0], [1, 0]]
    # (1 - memory) x deviation x E max(0, -z), and E max(0, -z) = 1 / sqrt(2 pi)
    free = (1 - 0.5 ** (1 / 5)) * 0.02 / sqrt(2 * pi)
    assert solution.reward_per_step == pytest.approx(free, rel=1e-3)


def test_fee_too_high_for_a_reverting_price_never_buys() -> None:
    solution = OrnsteinUhlenbeck().solve(2_000.0)
    assert not np.any(solution.policy.targets[0])
    assert solution.reward_per_step == 0.0


def test_band_of_a_reverting_price_agrees_with_quadrature_on_an_interpolated_value() -> None:
    # the same Bellman equation by other means: Gauss-Hermite nodes, values between 601 points by interpolation
    market, (enter, leave) = OrnsteinUhlenbeck(), switch_costs(20.0)
    memory = exp(-log(2) / 5)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    z = np.linspace(-7, 7, 601)
    worth = np.zeros(601)
    after = memory * z[:, None] + sqrt(1 - memory**2) * nodes
    for _ in range(150):
        held = np.clip(worth, -leave, enter)
        worth = (memory - 1) * 0.02 * z + np.interp(after, z, held) @ weights
    below, above = np.interp([-enter, leave], -worth, z)
    density = np.exp(-z * z / 2) / np.exp(-z * z / 2).sum()
    solution = market.solve(20.0)
    assert solution.policy.targets.tolist() == [[1, 0, 0], [1, 1, 0]]
    assert solution.policy.edges == pytest.approx([below, above], abs=0.03)
    assert solution.reward_per_step == pytest.approx(float(density @ np.maximum(worth - enter, 0)), rel=1e-3)


def test_band_of_a_reverting_price_beats_narrower_and_wider_ones() -> None:
    market = OrnsteinUhlenbeck()
    path = market.paths(3, 500_000)
    feature = path.columns["deviation"][:-1]
    low, high = market.solve(20.0).policy.edges
    best = rewards_of(band(low, high).positions(feature), path.expected, 20.0)
    for factor in (0.0, 0.5, 1.6, 2.2):
        other = band(factor * low - 1e-9, factor * high)
        less = best - rewards_of(other.positions(feature), path.expected, 20.0)
        assert less.mean() > 2 * standard_error(less)


def test_leaked_return_is_the_next_one() -> None:
    path = Leaked().paths(1, 1_000)
    assert path.columns["leak"][:-1] == pytest.approx(path.returns, abs=1e-13)


def test_leak_with_an_error_is_trusted_as_far_as_it_goes() -> None:
    path = Leaked(volatility=0.004, error=0.003).paths(1, 200_000)
    leak = path.columns["leak"][:-1]
    slope, _ = np.polyfit(leak, path.returns, 1)
    assert slope == pytest.approx(16 / 25, abs=0.005)
    assert path.expected == pytest.approx(leak * 16 / 25, abs=1e-15)


@pytest.mark.parametrize(("error", "fee"), [(0.0, 20.0), (0.0, 100.0), (0.004, 5.0), (0.001, 0.0)])
def test_closed_form_of_the_leak_is_what_dynamic_programming_finds(error: float, fee: float) -> None:
    market = Leaked(error=error)
    solution = market.solve(fee)
    targets, reward = optimum(market.problem(NO_EDGES)[0], fee)
    assert solution.reward_per_step == pytest.approx(reward, rel=2e-3)
    width = np.hypot(0.003, error) * 12 / 400
    bought, kept = np.argmax(targets[0]), np.argmax(targets[1])
    middles = (np.arange(400) + 0.5) * width - 200 * width
    assert solution.policy.edges[-1] == pytest.approx(middles[bought], abs=width)
    assert solution.policy.edges[0] == pytest.approx(middles[kept], abs=width)


def test_leak_pays_the_price_of_an_option() -> None:
    # sigma phi(h / sigma) - h (1 - Phi(h / sigma)), h about 20 bps, sigma 30: 30 x 0.31945 - 20 x 0.25249 = 4.5337
    assert Leaked().solve(20.0).reward_per_step == pytest.approx(4.5337e-4, abs=2e-8)


def test_shuffled_returns_are_given_ones_without_their_mean_in_no_order() -> None:
    path = Shuffled(REAL).paths(1, 50_001)
    values, counts = np.unique(np.round(path.returns, 12), return_counts=True)
    assert values == pytest.approx(np.sort(REAL - REAL.mean()), abs=1e-11)
    assert counts.min() > 50  # 100 each, +- 10
    assert abs(np.corrcoef(path.returns[1:], path.returns[:-1])[0, 1]) < 4 / sqrt(50_000)
    assert not path.columns
    assert not np.any(path.expected)


@pytest.mark.parametrize("fee", [0.0, 20.0])
def test_shuffled_returns_are_best_left_alone(fee: float) -> None:
    solution = Shuffled(REAL).solve(fee)
    assert solution.reward_per_step == 0.0
    assert not np.any(solution.policy.positions(np.arange(5.0)))


def test_best_policy_on_three_bins_is_the_best_of_all_sixty_four() -> None:
    market = OrnsteinUhlenbeck()
    edges = np.array([-0.1, 0.8])
    path = market.paths(4, 150_000)
    feature = path.columns["deviation"][:-1]
    found = market.solve_binned(edges, 20.0)
    best = rewards_of(found.policy.positions(feature), path.expected, 20.0)
    assert abs(best.mean() - found.reward_per_step) < 3.5 * standard_error(best)
    for table in product((0, 1), repeat=6):
        policy = BinPolicy(edges, np.array(table, np.int8).reshape(2, 3))
        less = best - rewards_of(policy.positions(feature), path.expected, 20.0)
        assert less.mean() >= -2 * standard_error(less)


@pytest.mark.parametrize(
    ("market", "edges", "share"),
    [
        (OrnsteinUhlenbeck(), quantiles(10), 0.99),
        (OrnsteinUhlenbeck(), quantiles(20), 0.999),
        (Leaked(), quantiles(10, 0.003), 0.97),
    ],
)
def test_bins_of_a_table_cost_little_of_the_optimum(market: Market, edges: Array, share: float) -> None:
    best, binned = market.solve(FEE_BPS).reward_per_step, market.solve_binned(edges, FEE_BPS).reward_per_step
    assert share * best < binned < 1.0001 * best


@pytest.mark.parametrize(
    ("market", "share"), [(MarkovSwitching(), 0.86), (OrnsteinUhlenbeck(), 0.86), (Leaked(), 0.0)]
)
def test_policy_that_sees_the_feature_a_bar_late_earns_far_less(market: Market, share: float) -> None:
    best, path = market.solve(FEE_BPS), market.paths(5, 400_000)
    positions = best.policy.positions(path.columns[market.features[0]][:-2])
    late = rewards_of(positions, path.expected[1:], FEE_BPS).mean()
    assert late < share * best.reward_per_step


def test_policy_that_ignores_what_it_holds_earns_less_than_nine_tenths() -> None:
    market = MarkovSwitching()
    path = market.paths(6, 400_000)
    best = rewards_of(
        market.solve(20.0).policy.positions(path.columns["regime"][:-1]), path.expected, 20.0
    ).mean()
    for edge in (0.5, 1.5):
        blind = BinPolicy(np.array([edge]), np.array([[0, 1], [0, 1]], np.int8))
        rewards = rewards_of(blind.positions(path.columns["regime"][:-1]), path.expected, 20.0)
        assert rewards.mean() < 0.91 * best


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: MarkovSwitching((0.0,), (0.1,), (0.9,)), "two or more"),
        (lambda: MarkovSwitching((0.0, 0.0, 0.1), (0.1, 0.1), (0.9, 0.9)), "as many of each"),
        (lambda: MarkovSwitching(stay=(1.0, 0.9, 0.9)), "below 1"),
        (lambda: MarkovSwitching(volatility=(-0.1, 0.1, 0.1)), "volatility: -0.1"),
        (lambda: MarkovSwitching(mistaken=1.5), "mistaken"),
        (lambda: OrnsteinUhlenbeck(half_life=0.0), "half_life"),
        (lambda: OrnsteinUhlenbeck(deviation=float("nan")), "deviation: nan"),
        (lambda: Leaked(volatility=0.0), "volatility"),
        (lambda: Shuffled(np.array([0.1])), "returns"),
        (lambda: Shuffled(np.array([0.1, np.nan])), "finite"),
        (lambda: MarkovSwitching().paths(1, 1), "n: a path of 1 closes"),
    ],
)
def test_market_that_cannot_be_is_refused(make: object, problem: str) -> None:
    assert callable(make)
    with pytest.raises(ControlError, match=problem):
        make()


def test_tails_of_the_grid_take_in_all_that_is_beyond() -> None:
    problem, _ = OrnsteinUhlenbeck(cells=12).problem(NO_EDGES)
    memory = 0.5 ** (1 / 5)
    # from the middle of the outermost cell, at 5.5, to it: everything above 5
    away = (5 - memory * 5.5) / sqrt(1 - memory**2)
    assert problem.chain[-1, -1] == pytest.approx(0.5 * erfc(away / sqrt(2)), abs=1e-12)
