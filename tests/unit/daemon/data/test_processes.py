"""Paths of a log price against closed forms; seeds are fixed, bounds are four standard errors and more."""

from math import exp, log, sqrt

import numpy as np
import pytest

from daemon.data.processes import Chain, Diffusion, Jumps, Reversion, State, recur


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def no_jumps() -> Jumps:
    return Jumps(0.0, 0.0, 0.0, rng())


def evenly(n: int, days: float) -> np.ndarray:
    return (np.arange(n) + 1) / n * days


def test_brownian_motion_has_the_drift_and_variance_of_its_state() -> None:
    n, drift, variance = 100_000, 0.03, 0.04
    path = Diffusion(0.0, Chain([State(drift, variance)], rng()), no_jumps(), rng(2))
    x = path.advance(evenly(n, n), n)  # a step is a day
    steps = np.diff(x)
    assert abs(steps.mean() - (drift - variance / 2)) < 4 * sqrt(variance / n)
    assert abs(steps.var() - variance) < 4 * variance * sqrt(2 / n)
    assert abs(np.corrcoef(steps[1:], steps[:-1])[0, 1]) < 4 / sqrt(n)


def test_price_grows_by_its_drift_in_the_mean() -> None:
    # S = exp(X) of 40,000 paths after a day: mean exp(drift), deviation exp(drift) * sqrt(exp(variance) - 1)
    n, drift, variance = 40_000, 0.2, 0.09
    chain, moves = Chain([State(drift, variance)], rng()), rng(3)
    path = Diffusion(0.0, chain, no_jumps(), moves)
    x = np.array([0.0, *path.advance(evenly(n, n), n)])
    deviation = exp(drift) * sqrt(exp(variance) - 1)
    assert abs(np.exp(np.diff(x)).mean() - exp(drift)) < 4 * deviation / sqrt(n)


def test_moments_of_a_motion_without_volatility_are_exact() -> None:
    path = Diffusion(1.0, Chain([State(0.5, 0.0)], rng()), no_jumps(), rng())
    assert path.advance(np.array([0.0, 0.25, 0.25, 1.0]), 2.0) == pytest.approx([1.0, 1.125, 1.125, 1.5])
    assert path.advance(np.array([1.0]), 1.0) == pytest.approx([2.5])  # two days on


@pytest.mark.parametrize("model", ["diffusion", "reversion"])
def test_path_asked_at_more_times_has_the_same_variance_at_the_end(model: str) -> None:
    def end(parts: int, seed: int) -> float:
        variance, moves = 0.04, rng(seed)
        path = (
            Diffusion(0.0, Chain([State(0.0, variance)], rng()), no_jumps(), moves)
            if model == "diffusion"
            else Reversion(0.0, 0.0, log(2), variance, no_jumps(), moves)  # a pull of 1 a day
        )
        return float(path.advance(evenly(parts, 1.0), 1.0)[-1])

    expected = 0.04 if model == "diffusion" else 0.02 * (1 - exp(-2))
    n = 4_000
    for parts in (1, 7):
        found = np.var([end(parts, seed) for seed in range(n)])
        assert abs(found - expected) < 4 * expected * sqrt(2 / n)


def test_reversion_halves_its_distance_in_each_half_life() -> None:
    path = Reversion(log(200), log(100), 5.0, 0.0, no_jumps(), rng())
    x = path.advance(np.array([0.0, 5.0, 10.0]), 15.0)
    assert np.exp(x) == pytest.approx([200, 100 * sqrt(2), 100 * 2**0.25])
    assert np.exp(path.advance(np.array([0.0]), 1.0)) == pytest.approx([100 * 2**0.125])


def test_reversion_has_its_stationary_variance_and_autocorrelation() -> None:
    n, dt, half_life, variance = 200_000, 0.05, 0.2, 0.01
    pull = log(2) / half_life
    path = Reversion(3.0, 3.0, half_life, variance, no_jumps(), rng(4))
    x = path.advance(evenly(n, n * dt), n * dt)[1_000:]
    rho = exp(-pull * dt)
    independent = n * (1 - rho**2) / (1 + rho**2)  # as many values, for a variance
    stationary = variance / (2 * pull)
    assert abs(x.var() - stationary) < 4 * stationary * sqrt(2 / independent)
    assert abs(x.mean() - 3.0) < 4 * sqrt(stationary * (1 + rho) / (1 - rho) / n)
    for lag in (1, 4, 10):
        found = np.corrcoef(x[lag:], x[:-lag])[0, 1]
        assert abs(found - exp(-pull * dt * lag)) < 0.012, lag  # four errors of Bartlett's formula at most


@pytest.mark.parametrize("n", [1, 2, 3, 10, 99, 100, 1_000])
def test_recurrence_equals_the_plain_loop(n: int) -> None:
    random = rng(n)
    a, b = random.uniform(0, 1, n), random.normal(0, 1, n)
    a[n // 2 :: 7] = 0.0  # a gap that forgets all
    expected, x = [], 5.0
    for i in range(n):
        x = a[i] * x + b[i]
        expected.append(x)
    assert recur(a, b, 5.0) == pytest.approx(expected, rel=1e-12, abs=1e-14)


def three_states() -> list[State]:
    return [
        State(0.0, 0.01, 2.0, (0.0, 0.7, 0.3)),
        State(0.0, 0.04, 0.5, (0.5, 0.0, 0.5)),
        State(0.0, 0.09, 1.0, (1.0, 0.0, 0.0)),
    ]


def stationary(states: list[State]) -> np.ndarray:
    """Solves pi Q = 0, sum pi = 1 for the generator Q of the chain."""
    n = len(states)
    q = np.array([[s.next[j] / s.days for j in range(n)] for s in states])
    q -= np.diag(q.sum(axis=1))
    return np.linalg.lstsq(np.vstack([q.T, np.ones(n)]), np.append(np.zeros(n), 1.0), rcond=None)[0]


def test_regimes_last_and_follow_as_they_should_and_hold_their_shares_of_the_time() -> None:
    states = three_states()
    visited, ends = Chain(states, rng(5)).visits(30_000.0)
    lengths = np.diff([0.0, *ends])
    which = np.array(visited)
    assert which[0] == 0
    for i, state in enumerate(states):
        mine = lengths[which == i]
        assert abs(mine.mean() - state.days) < 4 * state.days / sqrt(len(mine)), i
        assert abs(mine.std() - state.days) < 5 * state.days * sqrt(2 / len(mine)), i  # exponential
        followers = which[1:][which[:-1] == i]
        for j, chance in enumerate(state.next):
            error = sqrt(chance * (1 - chance) / len(followers))
            assert abs((followers == j).mean() - chance) <= 4 * error, (i, j)
    shares = [lengths[which == i].sum() / 30_000 for i in range(3)]
    assert shares == pytest.approx(stationary(states), abs=0.01)


def test_regimes_are_the_same_however_the_time_is_cut() -> None:
    whole, cut = Chain(three_states(), rng(6)), Chain(three_states(), rng(6))
    visited, ends = whole.visits(50.0)
    pieces: list[tuple[int, float]] = []
    for k in range(100):
        states, until = cut.visits(0.5)
        for state, end in zip(states, until, strict=True):
            if pieces and pieces[-1][0] == state:
                pieces.pop()
            pieces.append((state, k * 0.5 + end))
    assert [s for s, _ in pieces] == visited
    assert [e for _, e in pieces] == pytest.approx(ends)


def test_moments_between_times_are_those_of_the_regimes_visited_between() -> None:
    states = [State(0.3, 0.02, 1.0, (0.0, 1.0)), State(-0.1, 0.5, 1.0, (1.0, 0.0))]
    (first, second, *_), (switch, *_) = Chain(states, rng(7)).visits(9.0)
    assert (first, second) == (0, 1)
    mean, variance = Chain(states, rng(7)).moments(np.array([switch / 2, switch + 0.01]))
    before = switch / 2
    assert variance == pytest.approx([before * 0.02, before * 0.02 + 0.01 * 0.5])
    # less half of the variance: 0.3 - 0.01 and -0.1 - 0.25
    assert mean == pytest.approx([before * 0.29, before * 0.29 - 0.01 * 0.35])


def test_jumps_come_at_their_rate_and_have_their_moments() -> None:
    per_day, mean, deviation, days = 2.0, -0.02, 0.03, 5_000
    counts, sums = [], []
    jumps = Jumps(per_day, mean, deviation, rng(8))
    for _ in range(days):
        steps = np.zeros(1_000)
        jumps.add(steps, evenly(1_000, 1.0), 0.0)
        counts.append(np.count_nonzero(steps))
        sums.append(steps.sum())
    n = per_day * days
    assert abs(sum(counts) - n) < 4 * sqrt(n)  # two in one step are rare: some ten of ten thousand
    assert abs(np.sum(sums) / n - mean) < 4 * sqrt((mean**2 + deviation**2) / n)
    # a compound Poisson sum has the variance rate * E[size^2]
    expected = per_day * (mean**2 + deviation**2)
    assert np.var(sums) == pytest.approx(expected, rel=0.1)


def test_jump_is_partly_forgotten_until_its_step_ends() -> None:
    t = np.array([1.0, 3.0])
    fresh, faded = np.zeros(2), np.zeros(2)
    Jumps(2.0, 1.0, 0.0, rng(9)).add(fresh, t, 0.0)
    Jumps(2.0, 1.0, 0.0, rng(9)).add(faded, t, 0.5)
    random = rng(9)
    when = np.sort(random.uniform(0.0, 3.0, random.poisson(6.0)))
    assert fresh.tolist() == [np.sum(when <= 1), np.sum(when > 1)]
    assert min(fresh) > 0
    assert faded == pytest.approx(
        [np.exp(-0.5 * (1 - when[when <= 1])).sum(), np.exp(-0.5 * (3 - when[when > 1])).sum()]
    )
