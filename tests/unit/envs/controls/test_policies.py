from __future__ import annotations

from math import log

import numpy as np
import pytest

from envs.controls.policies import (
    BinPolicy,
    ControlError,
    rewards_of,
    share_of,
    standard_error,
    switch_costs,
)


def test_all_in_account_with_a_fee_earns_what_a_ledger_says() -> None:
    # 1,000 at 100, fee 100 bps: 1000 / 101 = 9.900990 units, of which the fee is 9.900990.
    #   close 110: 9.900990 x 110 = 1089.108911
    #   close 99:  9.900990 x  99 =  980.198020, sold there: fee 9.801980, cash 970.396040
    #   close 90:  flat, 970.396040
    #   close 90 -> 99: bought with 970.396040 / 90.9 = 10.675424 units, worth 1056.866974 at 99
    equity = np.array([1000.0, 1089.10891089, 980.19801980, 970.39603960, 1056.86697383])
    returns = np.diff(np.log([100.0, 110.0, 99.0, 90.0, 99.0]))
    rewards = rewards_of(np.array([1, 1, 0, 1]), returns, 100.0)
    assert rewards == pytest.approx(np.diff(np.log(equity)), abs=1e-10)


def test_switches_cost_what_equity_with_and_without_the_fee_differ_by() -> None:
    # 101 buys 100 worth, 100 worth brings 99
    assert switch_costs(100.0) == pytest.approx((log(101 / 100), log(100 / 99)), rel=1e-12)
    assert switch_costs(0.0) == (0.0, 0.0)


@pytest.mark.parametrize("fee", [-1.0, 10_000.0, float("nan"), float("inf")])
def test_fee_that_cannot_be_is_refused(fee: float) -> None:
    with pytest.raises(ControlError, match="fee_bps"):
        switch_costs(fee)


def test_rewards_of_more_positions_than_returns_are_refused() -> None:
    with pytest.raises(ControlError, match="one for each"):
        rewards_of(np.zeros(3), np.zeros(2), 0.0)


def test_positions_of_any_table_are_those_taken_one_by_one() -> None:
    random = np.random.default_rng(1)
    for _ in range(50):
        policy = BinPolicy(np.array([-0.5, 0.5, 1.0]), random.integers(0, 2, (2, 4)).astype(np.int8))
        feature = random.choice([-1.0, -0.5, 0.0, 0.5, 0.7, 1.0, 2.0], 60)
        held, one_by_one = 0, []
        for value in feature:
            # a value on an edge is in the bin above it
            bin_ = 0 if value < -0.5 else 1 if value < 0.5 else 2 if value < 1.0 else 3
            assert policy.act(value, held) == policy.targets[held, bin_]
            held = int(policy.targets[held, bin_])
            one_by_one.append(held)
        assert policy.positions(feature).tolist() == one_by_one
        assert policy.compact().positions(feature).tolist() == one_by_one


def test_compact_policy_keeps_the_edges_at_which_decisions_change() -> None:
    policy = BinPolicy(
        np.array([1.0, 2.0, 3.0, 4.0]), np.array([[1, 1, 0, 0, 0], [1, 1, 1, 0, 0]], np.int8)
    ).compact()
    assert policy.edges.tolist() == [2.0, 3.0]
    assert policy.targets.tolist() == [[1, 0, 0], [1, 1, 0]]


def test_feature_that_is_not_a_number_is_refused_with_its_row() -> None:
    policy = BinPolicy(np.zeros(1), np.array([[0, 1], [0, 1]], np.int8))
    with pytest.raises(ControlError, match="row 1"):
        policy.positions(np.array([1.0, np.nan, np.nan]))


@pytest.mark.parametrize(
    ("edges", "targets", "problem"),
    [
        ([1.0, 1.0], [[0, 0, 0], [0, 0, 0]], "ascending"),
        ([np.nan], [[0, 0], [0, 0]], "finite"),
        ([1.0], [[0, 0, 0], [0, 0, 0]], "shape"),
        ([1.0], [[0, 2], [0, 0]], "flat"),
    ],
)
def test_policy_that_cannot_be_is_refused(edges: list[float], targets: list[list[int]], problem: str) -> None:
    with pytest.raises(ControlError, match=problem):
        BinPolicy(np.array(edges), np.array(targets, np.int8))


def test_standard_error_of_an_autoregression_is_that_of_its_long_run_variance() -> None:
    # x = 0.8 x' + e has a mean with variance 1 / (1 - 0.8)^2 / n = 25 / n; as if independent, it would be 2.78 / n
    random = np.random.default_rng(2)
    found = []
    for _ in range(20):
        noise, x = random.standard_normal(20_000), np.zeros(20_000)
        for t in range(1, len(x)):
            x[t] = 0.8 * x[t - 1] + noise[t]
        found.append(standard_error(x) ** 2 * len(x))
    assert np.mean(found) == pytest.approx(25.0, rel=0.12)


def test_standard_error_of_too_few_rewards_is_refused() -> None:
    with pytest.raises(ControlError, match="99 rewards in 50 batches"):
        standard_error(np.zeros(99))


def test_share_of_the_best_has_the_error_by_which_shares_scatter() -> None:
    random = np.random.default_rng(3)
    shares, errors = [], []
    for _ in range(200):
        best = 1.0 + random.standard_normal(5_000)
        share, error = share_of(0.9 * best + 0.5 * random.standard_normal(5_000), best)
        shares.append(share)
        errors.append(error)
    # the noise of `best` is on both sides of the ratio: what is left is 0.5 / sqrt(5000) = 0.00707
    assert np.mean(shares) == pytest.approx(0.9, abs=0.002)
    assert np.std(shares) == pytest.approx(0.00707, rel=0.15)
    assert np.mean(errors) == pytest.approx(0.00707, rel=0.05)


def test_share_of_a_best_policy_that_earned_nothing_is_refused() -> None:
    with pytest.raises(ControlError, match="earned nothing"):
        share_of(np.ones(200), np.zeros(200))
