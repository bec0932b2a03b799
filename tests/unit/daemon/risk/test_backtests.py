"""Tests of VaR against the papers' tables, a published example, and sums by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest

from daemon.risk.backtests import (
    conditional_coverage,
    exceedances,
    independence,
    kupiec,
    traffic_light,
)
from engine.grading import likelihood_ratio
from tests.builders import plain

# Kupiec 1995, as Jorion's "Value at Risk" has it: the largest number of exceedances that is too few at 5 %, and
# the smallest that is too many. (Of 255 at 1 % the table has no lower bound; by the formula none at all is too few.)
NOT_REJECTED_BETWEEN = {
    (0.01, 255): (0, 7),
    (0.01, 510): (1, 11),
    (0.01, 1000): (4, 17),
    (0.025, 255): (2, 12),
    (0.025, 510): (6, 21),
    (0.025, 1000): (15, 36),
    (0.05, 255): (6, 21),
    (0.05, 510): (16, 36),
    (0.05, 1000): (37, 65),
    (0.075, 255): (11, 28),
    (0.075, 510): (27, 51),
    (0.075, 1000): (59, 92),
    (0.10, 255): (16, 36),
    (0.10, 510): (38, 65),
    (0.10, 1000): (81, 120),
}

# Basel 1996, table 2: 250 outcomes at 99 %; cumulative probability in per cent, and the plus factor
BASEL = [
    ("green", 8.11, 0.0),
    ("green", 28.58, 0.0),
    ("green", 54.32, 0.0),
    ("green", 75.81, 0.0),
    ("green", 89.22, 0.0),
    ("yellow", 95.88, 0.40),
    ("yellow", 98.63, 0.50),
    ("yellow", 99.60, 0.65),
    ("yellow", 99.89, 0.75),
    ("yellow", 99.97, 0.85),
    ("red", 99.99, 1.00),
]

# MathWorks' documentation of varbacktest: 95 % normal VaR of an equity index, 1043 outcomes, 57 exceedances, the first on
# the 58th day; transitions 932, 53, 53 and 4
N, EXCEEDANCES, FIRST, PAIRS = 1043, 57, 57, 4


def published_hits():
    hits = np.zeros(N, np.bool_)
    runs = (
        EXCEEDANCES - PAIRS
    )  # four runs of two, the others alone; two outcomes from the end of one to the next
    at = FIRST
    for run in range(runs):
        length = 2 if run < PAIRS else 1
        hits[at : at + length] = True
        at += length + 2
    return hits


def defined(test):
    assert test is not None
    return test


@pytest.mark.parametrize(("tail", "n"), NOT_REJECTED_BETWEEN)
def test_kupiec_does_not_reject_where_his_table_says_so(tail, n):
    too_few, too_many = NOT_REJECTED_BETWEEN[tail, n]
    rejected = [defined(kupiec(x, n, tail)).p < 0.05 for x in range(n + 1)]
    assert all(rejected[: too_few + 1])
    assert not any(rejected[too_few + 1 : too_many])
    assert all(rejected[too_many:])


def test_kupiec_of_a_published_example_has_its_statistic_and_p():
    test = defined(kupiec(EXCEEDANCES, N, 0.05))
    assert test.lr == pytest.approx(0.46147, abs=5e-6)
    assert test.p == pytest.approx(0.49694, abs=5e-6)


def test_kupiec_without_exceedance_or_with_nothing_else_has_the_statistic_of_the_tail_alone():
    # the likelihood at the observed share, 0 or 1, is 1
    assert defined(kupiec(0, 250, 0.01)).lr == pytest.approx(-2 * 250 * math.log(0.99))
    assert defined(kupiec(250, 250, 0.01)).lr == pytest.approx(-2 * 250 * math.log(0.01))
    assert kupiec(0, 0, 0.01) is None


def test_kupiec_of_the_expected_share_has_no_evidence():
    test = defined(kupiec(5, 100, 0.05))
    assert test.lr == pytest.approx(0.0, abs=1e-12)
    assert test.p == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("count", "n", "tail", "message"),
    [
        (3, 2, 0.01, "3 exceedances of 2 outcomes"),
        (-1, 2, 0.01, "-1 exceedances of 2 outcomes"),
        (1, 2, 0.0, "the tail is 0.0"),
        (1, 2, 0.99, "the tail is 0.99"),
        (1, 2, math.nan, "the tail is nan"),
    ],
)
def test_impossible_counts_and_tails_are_refused(count, n, tail, message):
    for test in (kupiec, traffic_light):
        with pytest.raises(ValueError, match=message):
            test(count, n, tail)


def test_independence_and_conditional_coverage_of_ten_outcomes_are_those_by_hand():
    # 0 1 1 1 0 0 0 0 0 0: after none five times none and once one; after one once none and twice one
    hits = np.array([0, 1, 1, 1, 0, 0, 0, 0, 0, 0], np.bool_)
    # chain: 5 ln(5/6) + ln(1/6) + ln(1/3) + 2 ln(2/3) = -4.612909; independent: 6 ln(2/3) + 3 ln(1/3) = -5.728628
    test = defined(independence(hits))
    assert test.lr == pytest.approx(2 * (5.728628 - 4.612909), abs=1e-5)
    assert test.p == pytest.approx(0.13523, abs=5e-6)  # 2 (1 - Phi(sqrt(2.231438))) = 2 (1 - Phi(1.493800))
    # at 5 %: 6 ln 0.95 + 3 ln 0.05 = -9.294957
    joint = defined(conditional_coverage(hits, 0.05))
    assert joint.lr == pytest.approx(2 * (9.294957 - 4.612909), abs=1e-5)
    assert joint.p == pytest.approx(math.exp(-(9.294957 - 4.612909)), abs=1e-6)


def test_conditional_coverage_is_the_sum_of_independence_and_of_coverage_without_the_first_outcome():
    hits = np.array([1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0], np.bool_)
    parts = defined(independence(hits)).lr + defined(kupiec(3, 11, 0.05)).lr
    assert defined(conditional_coverage(hits, 0.05)).lr == pytest.approx(parts)


def test_independence_of_a_published_example_has_its_statistic_and_p():
    hits = published_hits()
    assert int(hits.sum()) == EXCEEDANCES
    test = defined(independence(hits))
    assert test.lr == pytest.approx(0.25866, abs=5e-6)
    assert test.p == pytest.approx(0.61104, abs=5e-6)
    # theirs, 0.72013, adds Kupiec's of all 1043: 0.46147 instead of 0.4713 of the last 1042
    joint = defined(conditional_coverage(hits, 0.05))
    assert joint.lr == pytest.approx(0.25866 + defined(kupiec(57, 1042, 0.05)).lr, abs=5e-6)
    assert joint.lr == pytest.approx(0.72013, abs=0.011)
    assert joint.p == pytest.approx(0.69763, abs=0.005)


@pytest.mark.parametrize(
    "hits",
    [
        [],
        [True],
        [False] * 9,
        [False, True, False, False],  # one cannot follow upon another
        [True, True, False, True],  # nor can two that are none
        [True] * 9,
    ],
)
def test_independence_without_two_of_either_kind_is_not_defined(hits):
    assert independence(hits) is None
    assert conditional_coverage(hits, 0.01) is None


def test_independence_with_two_of_either_kind_is_defined():
    # 1 1 0 0: 1 to 1, 1 to 0, 0 to 0; chain: 2 ln(1/2), for after none comes none; independent: ln(1/3) + 2 ln(2/3)
    expected = 2 * (2 * math.log(1 / 2) - math.log(1 / 3) - 2 * math.log(2 / 3))
    assert defined(independence([True, True, False, False])).lr == pytest.approx(expected)


def test_hits_that_are_no_booleans_are_refused():
    for hits in ([0.0, math.nan, 1.0], [[True], [False]], [0, 1, 2]):
        with pytest.raises(ValueError, match="give one boolean an outcome"):
            independence(np.array(hits))


@pytest.mark.parametrize("tail", [0.01, 1 - 0.99])
@pytest.mark.parametrize("count", range(11))
def test_traffic_light_of_250_at_99_per_cent_is_basels_table(count, tail):
    zone, per_cent, plus = BASEL[count]
    light = defined(traffic_light(count, 250, tail))
    assert (light.zone, light.plus) == (zone, plus)
    assert 100 * light.probability == pytest.approx(per_cent, abs=0.00501)


def test_traffic_light_of_more_than_ten_exceedances_stays_red():
    light = defined(traffic_light(250, 250, 0.01))
    assert (light.zone, light.plus) == ("red", 1.0)
    assert light.probability == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("n", "tail"), [(500, Fraction(1, 100)), (250, Fraction(1, 40)), (60, Fraction(1, 20))]
)
def test_traffic_light_of_other_counts_has_the_binomial_zones_and_no_plus(n, tail):
    below = Fraction(0)
    for count in range(n + 1):
        below += math.comb(n, count) * tail**count * (1 - tail) ** (n - count)
        zone = (
            "red" if below >= Fraction(9999, 10000) else "yellow" if below >= Fraction(95, 100) else "green"
        )
        light = defined(traffic_light(count, n, float(tail)))
        assert (light.zone, light.plus) == (zone, None)
        assert light.probability == pytest.approx(float(below), rel=1e-10)


def test_traffic_light_of_nothing_is_off():
    assert traffic_light(0, 0, 0.01) is None


def test_loss_equal_to_var_is_no_exceedance():
    pnl, var = [-3.0, -3.1, 0.0, -0.5, 0.4], [3.0, 3.0, 3.0, -1.0, -0.5]
    # a VaR of -1 is a forecast of a gain of 1 at least: to lose 0.5, and to gain 0.4 instead of 0.5, are exceedances
    assert exceedances(pnl, var).tolist() == [False, True, False, True, True]


def test_series_that_do_not_fit_are_refused_by_name():
    with pytest.raises(ValueError, match="var has 1 values beside 2 of pnl"):
        exceedances([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match=r"pnl\[1\] is nan"):
        exceedances([1.0, math.nan], [1.0, 1.0])
    with pytest.raises(ValueError, match="var has 2 dimensions"):
        exceedances([1.0], np.ones((1, 1)))


@pytest.mark.parametrize("tail", [0.01, 0.05])
def test_likelihood_ratio_by_which_the_engine_rejects_is_kupiecs(tail: float) -> None:
    for n in (1, 20, 250):
        for count in range(n + 1):
            graded = kupiec(count, n, tail)
            assert graded is not None
            assert plain(likelihood_ratio)(count, n, tail) == pytest.approx(graded.lr, abs=1e-9)
