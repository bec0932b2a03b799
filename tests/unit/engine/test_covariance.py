"""The shrunk covariance, its factor and the draws, against numpy's products and the paper's sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.covariance import cholesky, draw, shrunk_covariance
from engine.normals import normals
from engine.table import state_at
from tests.builders import plain
from tests.unit.engine.compiled import left_behind
from tests.unit.engine.test_measures import real_returns

FIRST, WIDTH = 5, 600


def laid_out(returns: Any) -> Any:
    """(ages, instruments) in a column, as the engine has it; places without a return hold a number that would be noticed."""
    column = np.full(FIRST + returns.shape[1] * WIDTH, 1e6)
    for k, of_instrument in enumerate(returns.T):
        column[FIRST + k * WIDTH :][: len(returns)] = of_instrument
    return column


def shrunk(returns: Any, members: Any = None) -> tuple[float, Any]:
    """(intensity, matrix) of the members, or of all."""
    chosen = np.arange(returns.shape[1]) if members is None else np.array(members)
    m = len(chosen)
    out = np.full(m * m + 1, 77.0)
    x = laid_out(returns)
    intensity = plain(shrunk_covariance)(x, FIRST, WIDTH, len(returns), chosen, m, out)
    assert out[m * m] == 77.0
    return float(intensity), out[: m * m].reshape(m, m)


def factor_of(matrix: Any) -> tuple[bool, Any]:
    """(whether there is a factor, the matrix with the factor in it)."""
    out = np.array(matrix, np.float64).ravel()
    return plain(cholesky)(out, len(matrix)), out.reshape(matrix.shape)


def intensity_by_the_paper(returns: Any) -> float:
    """Schafer and Strimmer (2005): the sum of the correlations' estimated variances over the sum of their squares."""
    n, m = returns.shape
    x = (returns - returns.mean(0)) / returns.std(0, ddof=1)
    variances = squares = 0.0
    for i in range(m):
        for j in range(m):
            if i != j:
                w = x[:, i] * x[:, j]
                variances += n / (n - 1) ** 3 * ((w - w.mean()) ** 2).sum()
                squares += (n / (n - 1) * w.mean()) ** 2
    return min(1.0, variances / squares)


def correlated(m: int, n: int, seed: int = 0) -> Any:
    """(n, m) returns with heavy tails, of different sizes, driven by two common factors."""
    r = np.random.default_rng(seed)
    common = r.standard_t(3, (n, 2)) @ r.normal(size=(2, m))
    return (common + r.standard_t(3, (n, m))) * r.uniform(0.001, 0.1, m) + 0.001


@pytest.mark.parametrize(
    "returns",
    [real_returns()[:500], real_returns()[:20], correlated(7, 333), correlated(2, 60), correlated(30, 10), correlated(4, 2)],
    ids=lambda r: f"{r.shape[1]} of {r.shape[0]}",
)  # fmt: skip
def test_covariance_is_numpys_with_correlations_shrunk_by_the_papers_intensity(returns: Any) -> None:
    intensity, matrix = shrunk(returns)
    expected = np.cov(returns.T)
    keep = 1.0 - intensity_by_the_paper(returns)
    assert intensity == pytest.approx(1.0 - keep, rel=1e-9, abs=1e-12)
    assert matrix == pytest.approx(expected * (keep + (1 - keep) * np.eye(len(expected))), rel=1e-9)
    assert np.array_equal(matrix, matrix.T)


def test_intensity_by_hand() -> None:
    # twice the same series -1, 0, 1: variance 1, correlation 1; the products are 1, 0, 1, their mean 2 / 3;
    # their squared distances sum to 2 / 3; x 3 / 2^3 = 1 / 4: the correlation's variance, over 1^2
    x = np.array([-1.0, 0.0, 1.0])
    intensity, matrix = shrunk(np.column_stack((x, 3 * x)))
    assert intensity == pytest.approx(0.25, rel=1e-14)
    assert matrix == pytest.approx(np.array([[1.0, 0.75 * 3], [0.75 * 3, 9.0]]), rel=1e-14)


def test_series_without_any_correlation_are_shrunk_to_none() -> None:
    returns = np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    intensity, matrix = shrunk(returns)
    assert intensity == 1.0
    assert matrix == pytest.approx(np.diag([4 / 3, 4 / 3]), rel=1e-14)
    assert shrunk(returns[:, :1]) == (1.0, pytest.approx(np.array([[4 / 3]]), rel=1e-14))


def test_more_history_shrinks_less_where_there_is_correlation() -> None:
    r = np.random.default_rng(4)
    returns = r.normal(size=(600, 5)) + 2.0 * r.normal(size=(600, 1))
    intensities = [shrunk(returns[:n])[0] for n in (10, 60, 600)]
    assert intensities == sorted(intensities, reverse=True)
    assert intensities[-1] < 0.01


def test_members_alone_count_in_the_order_that_they_are_given() -> None:
    returns = correlated(6, 50)
    returns[:, 2] = math.nan
    for members in ([4, 0, 5], [1], [5, 4, 3, 1, 0]):
        intensity, matrix = shrunk(returns, members)
        alone = shrunk(returns[:, members])
        assert (intensity, matrix.tolist()) == (alone[0], alone[1].tolist())


def test_fewer_than_two_returns_have_no_covariance() -> None:
    for n in (0, 1):
        intensity, matrix = shrunk(np.ones((n, 3)))
        assert math.isnan(intensity)
        assert np.isnan(matrix).all()


# -- the factor -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", range(1, 14))
def test_factor_is_numpys_and_the_upper_half_stays(m: int) -> None:
    matrix = np.cov(correlated(m, 100).T).reshape(m, m)
    good, factor = factor_of(matrix)
    assert good
    assert np.tril(factor) == pytest.approx(np.linalg.cholesky(matrix), rel=1e-9, abs=1e-15)
    assert np.array_equal(np.triu(factor, 1), np.triu(matrix, 1))


def test_more_instruments_than_returns_have_a_factor_once_shrunk() -> None:
    returns = correlated(30, 10)
    assert not factor_of(np.cov(returns.T))[0]
    assert factor_of(shrunk(returns)[1])[0]


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.0]],
        [[-1.0]],
        [[math.nan]],
        [[1.0, 0.0], [0.0, 0.0]],
        [[4.0, 2.0], [2.0, 1.0]],
        [[1.0, 1.0], [1.0, 1.0 + 5e-13]],  # a pivot of less than 1e-12 of it
        [[1.0, 2.0], [2.0, 1.0]],
        [[1.0, math.nan], [math.nan, 1.0]],
        [[math.inf, 1.0], [1.0, 1.0]],
        [[2.0, 0.1, 0.1], [0.1, 2.0, 0.1], [0.1, 0.1, math.nan]],
    ],
)
def test_matrix_without_a_factor_to_trust_has_none(matrix: list[list[float]]) -> None:
    assert not factor_of(np.array(matrix))[0]


def test_matrix_that_is_nearly_singular_has_a_factor_down_to_the_bound() -> None:
    good, factor = factor_of(np.array([[1.0, 1.0], [1.0, 1.0 + 3e-12]]))
    assert good
    assert factor[1, 1] == pytest.approx(math.sqrt(3e-12), rel=1e-3)


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_return_that_is_no_number_leaves_no_factor(place: int, bad: float) -> None:
    returns = correlated(3, 40)
    returns[7, place] = bad
    with np.errstate(invalid="ignore"):  # as compiled code does
        assert not factor_of(shrunk(returns)[1])[0]


def test_instrument_that_never_moves_leaves_no_factor() -> None:
    returns = correlated(3, 40)
    returns[:, 1] = 0.0
    assert not factor_of(shrunk(returns)[1])[0]


# -- draws ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", range(1, 11))
def test_draws_are_the_factor_times_the_members_own_normals(m: int) -> None:
    draws, instruments = 31, 12
    r = np.random.default_rng(m)
    members = r.permutation(instruments)[:m]
    factor = np.linalg.cholesky(np.cov(correlated(m, 100).T).reshape(m, m))
    with_upper_half = factor + np.triu(np.full((m, m), 1e9), 1)  # which must not matter
    z = normals(3, instruments, draws)
    target = np.full(FIRST + instruments * draws, 77.0)
    plain(draw)(with_upper_half.ravel(), m, members, z, draws, target, FIRST)
    expected = np.full((instruments, draws), 77.0)
    expected[members] = factor @ z.reshape(instruments, draws)[members]
    assert target[FIRST:].reshape(instruments, draws) == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert (target[:FIRST] == 77.0).all()


def test_many_draws_have_the_covariance_that_they_were_drawn_with() -> None:
    draws = 20_000
    matrix = shrunk(real_returns()[:250])[1]
    factor = factor_of(matrix)[1]
    target = np.empty(4 * draws)
    plain(draw)(factor.ravel(), 4, np.arange(4), normals(0, 4, draws), draws, target, 0)
    found = np.cov(target.reshape(4, draws))
    size = np.sqrt(np.outer(np.diag(matrix), np.diag(matrix)))
    assert np.abs((found - matrix) / size).max() < 5 * math.sqrt(2 / (draws / 2))
    assert np.abs(target.reshape(4, draws).mean(1)).max() < 1e-15


@given(st.integers(1, 8), st.integers(2, 30), st.integers(0, 99))
def test_shrunk_covariance_of_what_moves_always_has_a_factor(m: int, n: int, seed: int) -> None:
    intensity, matrix = shrunk(correlated(m, n, seed))
    assert 0.0 <= intensity <= 1.0
    if n > 2 or m == 1:  # of two returns each correlation is 1 or -1 for certain
        assert factor_of(matrix)[0]


# -- compiled ---------------------------------------------------------------------------------------------------------


def all_steps(at: Any) -> int:
    """Shrink, factor and draw for the members in `members`, of returns in `scenarios`, into `trial`; matrices in `pnl`."""
    s = state_at(at)
    m = len(s.members)
    s.tail[0] = shrunk_covariance(s.scenarios, 5, 600, s.hits[0], s.members, m, s.factor)
    for i in range(m * m):
        s.pnl[i] = s.factor[i]
    s.tail[1] = 1.0 if cholesky(s.factor, m) else 0.0
    draw(s.factor, m, s.members, s.normals, s.hits[1], s.trial, 7)
    return 0


def test_compiled_steps_are_those_of_plain_python_bit_by_bit() -> None:
    instruments, draws = 13, 203
    members = [12, 3, 4, 0, 9, 1, 5, 11, 2, 8, 10]
    uncompiled, compiled = left_behind(
        all_steps,
        scenarios=laid_out(correlated(instruments, 333)),
        members=members,
        hits=[333, draws],
        normals=normals(1, instruments, draws),
        tail=np.zeros(2),
        trial=np.zeros(7 + instruments * draws),
        **{name: np.zeros(len(members) ** 2) for name in ("pnl", "factor")},
    )
    assert uncompiled.tail[1] == 1.0
    assert np.count_nonzero(uncompiled.trial) == len(members) * draws
    for name in ("tail", "pnl", "factor", "trial"):
        assert getattr(uncompiled, name).tobytes() == getattr(compiled, name).tobytes(), name
