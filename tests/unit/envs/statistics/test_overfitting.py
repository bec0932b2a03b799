"""Cross-validation of choices: by hand, against its definition in plain loops, and on markets with a known answer."""

import itertools
import math
import statistics

import numpy as np
import pytest

from envs.statistics import backtest_overfitting


def by_definition(returns, blocks):
    """(in sample, out of sample, rank there) for each choice of half of the blocks, in lists and loops."""
    periods, trials = returns.shape
    bounds = [k * periods // blocks for k in range(blocks + 1)]
    parts = [returns[a:b].tolist() for a, b in itertools.pairwise(bounds)]

    def ratios(chosen):
        rows = [row for k in chosen for row in parts[k]]
        columns = list(zip(*rows, strict=True))
        return [statistics.mean(column) / statistics.stdev(column) for column in columns]

    found = []
    for half in itertools.combinations(range(blocks), blocks // 2):
        before = ratios(half)
        after = ratios([k for k in range(blocks) if k not in half])
        best = max(range(trials), key=before.__getitem__)
        found.append((before[best], after[best], sorted(after).index(after[best]) + 1))
    return found


def test_two_trials_in_four_periods_are_as_by_hand():
    # The ratio of two returns a, b is (a + b) / (sqrt(2) |a - b|); below, without the sqrt(2).
    #   inside  outside   A in   B in   chosen   its out   the other's   rank
    #   0 1     2 3       2      1/3    A        -3        2             1
    #   0 2     1 3       0      3      B        1/2       1/5           2
    #   0 3     1 2       -1/3   5      B        0         1/2           1
    #   1 2     0 3       1/2    0      A        -1/3      5             1
    #   1 3     0 2       1/5    1/2    B        3         0             2
    #   2 3     0 1       -3     2      B        1/3       2             1
    a, b = [0.01, 0.03, -0.01, -0.02], [0.02, -0.01, 0.01, 0.03]
    found = backtest_overfitting(np.array([a, b]).T, blocks=4)
    assert found.in_sample * math.sqrt(2) == pytest.approx([2, 3, 5, 0.5, 0.5, 2])
    assert found.out_of_sample * math.sqrt(2) == pytest.approx([-3, 0.5, 0, -1 / 3, 3, 1 / 3], abs=1e-12)
    low, high = math.log(1 / 2), math.log(2 / 1)  # rank over 3 - rank
    assert found.logits == pytest.approx([low, high, low, low, high, low])
    assert found.probability == pytest.approx(4 / 6)
    assert found.loss_probability == pytest.approx(2 / 6)
    # sums: in 13, out 1/2, products -5/2, squares of in 42 1/2
    # slope (-5/2 - 13 (1/2) / 6) / (42 1/2 - 13^2 / 6) = (-43/12) / (43/3); intercept 1/12 + 13/6 / 4 = 5/8
    assert found.slope == pytest.approx(-1 / 4)
    assert found.intercept is not None
    assert found.intercept * math.sqrt(2) == pytest.approx(5 / 8)


@pytest.mark.parametrize(("periods", "trials", "blocks"), [(11, 5, 4), (40, 3, 6), (25, 4, 8), (7, 3, 2)])
def test_blocks_of_any_length_are_as_by_definition(periods, trials, blocks):
    returns = np.random.default_rng(periods).normal(0.01, 0.02, (periods, trials))
    expected = by_definition(returns, blocks)
    found = backtest_overfitting(returns, blocks)
    assert found.in_sample == pytest.approx([row[0] for row in expected])
    assert found.out_of_sample == pytest.approx([row[1] for row in expected])
    ranks = np.array([row[2] for row in expected])
    assert found.logits == pytest.approx(np.log(ranks / (trials + 1 - ranks)))
    assert found.probability == pytest.approx(np.mean(ranks <= (trials + 1) / 2))
    slope, intercept = np.polyfit(found.in_sample, found.out_of_sample, 1)
    assert (found.slope, found.intercept) == pytest.approx((slope, intercept))


def test_choice_among_noise_is_below_the_median_half_of_the_time():
    rng = np.random.default_rng(1)
    found = [backtest_overfitting(rng.normal(0.0, 0.01, (60, 10)), 6) for _ in range(300)]
    assert np.mean([one.probability for one in found]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([one.loss_probability for one in found]) == pytest.approx(0.5, abs=0.04)


def test_choice_of_a_truly_better_trial_is_no_overfitting():
    returns = np.random.default_rng(2).normal(0.0, 0.01, (400, 10))
    returns[:, 4] += 0.004
    found = backtest_overfitting(returns, 10)
    assert found.probability < 0.01
    assert found.loss_probability < 0.01
    assert found.logits.min() > 0.0


def test_trials_that_earned_nothing_in_all_are_worst_where_the_best_is_chosen():
    # what one half gained the other lost
    returns = np.random.default_rng(3).normal(0.0, 0.01, (200, 8))
    found = backtest_overfitting(returns - returns.mean(axis=0), 8)
    assert found.probability > 0.95
    assert found.loss_probability > 0.99
    assert found.slope == pytest.approx(-1.0, abs=0.2)


def test_equal_trials_share_their_rank_at_the_median():
    one = np.random.default_rng(4).normal(0.0, 0.01, 40)
    found = backtest_overfitting(np.stack([one, one, one], axis=1), 4)
    assert found.logits == pytest.approx(np.zeros(6))
    assert found.probability == 1.0


def test_trials_that_never_moved_have_ratios_of_zero_and_no_slope():
    found = backtest_overfitting(np.full((20, 2), 0.1), 4)
    assert found.in_sample.tolist() == found.out_of_sample.tolist() == [0.0] * 6
    assert (found.slope, found.intercept) == (None, None)


def test_many_trials_in_parts_are_as_in_one(monkeypatch):
    returns = np.random.default_rng(5).normal(0.0, 0.01, (80, 6))
    whole = backtest_overfitting(returns, 8)
    monkeypatch.setattr("envs.statistics.overfitting._AT_ONCE", 6 * 9)
    parts = backtest_overfitting(returns, 8)
    assert len(parts.logits) == math.comb(8, 4)
    assert parts.logits.tolist() == whole.logits.tolist()


@pytest.mark.parametrize(
    ("shape", "blocks", "message"),
    [
        ((100, 1), 4, "two or more"),
        ((100, 2), 5, "must be even"),
        ((100, 2), 0, "must be even"),
        ((100, 2), 22, "from 2 to 20"),
        ((7, 2), 8, "at least 8 periods"),
        ((3, 2), 2, "at least 4 periods"),
        ((100,), 4, "has 1 dimensions; it must have 2"),
    ],
)
def test_what_cannot_be_cut_in_halves_is_refused(shape, blocks, message):
    with pytest.raises(ValueError, match=message):
        backtest_overfitting(np.zeros(shape), blocks)


def test_return_that_is_no_number_is_refused_with_its_place():
    returns = np.zeros((10, 3))
    returns[4, 1] = np.nan
    with pytest.raises(ValueError, match=r"returns\[4, 1\] is nan"):
        backtest_overfitting(returns, 2)
