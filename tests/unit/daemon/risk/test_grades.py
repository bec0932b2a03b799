"""Grades: what verdicts say, what is counted and left out, and records of a run."""

import json
import math

import numpy as np
import pytest

from daemon.risk.backtests import conditional_coverage, independence, kupiec, traffic_light
from daemon.risk.grades import grade, grades_of
from daemon.risk.losses import fissler_ziegel, tick_loss
from daemon.risk.shortfall import acerbi_szekely
from engine.records import Method
from engine.records_risk import GRADE


def outcomes(n, exceeded, loss=0.021):
    """VaR 2 %, CVaR 2.5 %; a loss at the given places, a gain elsewhere."""
    pnl = np.full(n, 0.001)
    pnl[list(exceeded)] = -loss
    return pnl, np.full(n, 0.02), np.full(n, 0.025)


def graded(n, exceeded, loss=0.021):
    pnl, var, cvar = outcomes(n, exceeded, loss)
    return grade(pnl, var, cvar, 0.01)


def defined(test):
    assert test is not None
    return test


def test_grade_has_each_test_of_its_outcomes():
    pnl, var, cvar = outcomes(250, [10, 11, 100, 200])
    found = grade(pnl, var, cvar, 0.01)
    hits = pnl < -var
    assert (found.n, found.exceedances, found.expected) == (250, 4, 2.5)
    assert found.kupiec == kupiec(4, 250, 0.01)
    assert found.independence == independence(hits)
    assert found.conditional_coverage == conditional_coverage(hits, 0.01)
    assert found.traffic_light == traffic_light(4, 250, 0.01)
    assert found.shortfall == acerbi_szekely(pnl, var, cvar, 0.01)
    # 1 - 4 x 0.84 / 2.5
    assert defined(found.shortfall).z2 == pytest.approx(-0.344)
    assert found.tick_loss == tick_loss(pnl, var, 0.01)
    assert found.fissler_ziegel == fissler_ziegel(pnl, var, cvar, 0.01)
    assert (found.without_tail, found.skipped) == (0, 0)


@pytest.mark.parametrize(
    ("n", "exceeded", "standing", "rejected_by", "verdict"),
    [
        (250, [10, 100], "accepted", [], "accepted at 5 %: 2 exceedances in 250 outcomes, 2.5 expected"),
        (250, [], "too cautious", [], "too cautious: 0 exceedances in 250 outcomes, 2.5 expected"),
        (
            191,
            [],
            "too few",
            [],
            "too few outcomes for a verdict, it takes 192: 0 exceedances in 191 outcomes, 1.91 expected",
        ),
        (192, [], "too cautious", [], "too cautious: 0 exceedances in 192 outcomes, 1.92 expected"),
        (
            50,
            [7],
            "too few",
            [],
            "too few outcomes for a verdict, it takes 192: 1 exceedance in 50 outcomes, 0.5 expected",
        ),
        (
            0,
            [],
            "too few",
            [],
            "too few outcomes for a verdict, it takes 192: 0 exceedances in 0 outcomes, 0 expected",
        ),
        # one after the other, where one in 83 is nothing unusual: LR 6.2
        (
            250,
            [10, 11, 100],
            "rejected",
            ["independence"],
            "rejected at 5 % by the test of independence: 3 exceedances in 250 outcomes, 2.5 expected",
        ),
        # Kupiec's LR of 7 is 5.5; of the joint test, with two degrees of freedom, it is not enough
        (
            250,
            range(0, 210, 30),
            "rejected",
            ["kupiec", "shortfall"],
            "rejected at 5 % by Kupiec's test and Acerbi and Szekely's test: 7 exceedances in 250 outcomes, 2.5 expected",
        ),
        # few outcomes can reject, too
        (
            20,
            range(0, 20, 4),
            "rejected",
            ["kupiec", "conditional_coverage", "shortfall"],
            (
                "rejected at 5 % by Kupiec's test, the test of conditional coverage and Acerbi and Szekely's test: "
                "5 exceedances in 20 outcomes, 0.2 expected"
            ),
        ),
    ],
)
def test_verdict_follows_from_the_exceedances(n, exceeded, standing, rejected_by, verdict):
    found = graded(n, exceeded)
    assert (found.standing, found.rejected_by, found.verdict) == (standing, rejected_by, verdict)


def test_few_exceedances_that_cluster_are_rejected_for_that_alone():
    # 2 of 1000 at 1 % are too few, by the joint test, too; that they follow upon one another is a fault all the same
    found = graded(1000, [500, 501])
    assert defined(found.kupiec).p < 0.05
    assert defined(found.conditional_coverage).p < 0.05
    assert found.rejected_by == ["independence"]


def test_few_exceedances_of_terrible_losses_are_rejected_by_shortfall_alone():
    # twice 25 %, ten times CVaR: 1 - 20 / 2.5 = -7
    found = graded(250, [50, 150], loss=0.25)
    assert defined(found.shortfall).z2 == pytest.approx(-7.0)
    assert found.rejected_by == ["shortfall"]


@pytest.mark.parametrize(("tail", "least"), [(0.01, 192), (1 - 0.99, 192), (0.025, 76), (0.05, 38)])
def test_least_outcomes_are_those_of_which_none_exceeding_is_too_few(tail, least):
    assert grade([], [], [], tail).least == least
    assert defined(kupiec(0, least, tail)).p < 0.05 < defined(kupiec(0, least - 1, tail)).p


def test_forecasts_without_a_tail_are_counted_and_left_out_of_shortfall_and_its_loss():
    pnl, var, cvar = outcomes(250, [10, 100])
    var[10:20], cvar[10:20] = 0.0, 0.0
    cvar[15], cvar[16] = -0.01, 1e-17  # a gain for certain; a perfect hedge, with the error of its sum
    found = grade(pnl, var, cvar, 0.01)
    assert (found.n, found.exceedances, found.without_tail) == (250, 2, 10)
    # of the other 240, one exceedance: 1 - 0.84 / 2.4
    assert defined(found.shortfall).z2 == pytest.approx(0.65)
    rest = np.r_[0:10, 20:250]
    assert found.fissler_ziegel == fissler_ziegel(pnl[rest], var[rest], cvar[rest], 0.01)
    assert found.tick_loss == tick_loss(pnl, var, 0.01)


@pytest.mark.parametrize("n", [0, 1, 50, 250])
def test_grade_as_dict_is_json_without_nan(n):
    pnl, var, cvar = outcomes(n, [])
    for size in (1.0, 0.0):
        found = grade(pnl, size * var, size * cvar, 0.01)
        read = json.loads(json.dumps(found.as_dict(), allow_nan=False))
        assert read["verdict"] == found.verdict
        assert read["standing"] == found.standing
        assert read["rejected_by"] == found.rejected_by
        assert (read["shortfall"] is None) == (n == 0 or size == 0.0)
        assert read["independence"] is None
        assert (read["kupiec"] is None) == (n == 0)


def test_series_that_hold_no_number_are_refused():
    pnl, var, cvar = outcomes(10, [])
    cvar[3] = math.inf
    with pytest.raises(ValueError, match=r"cvar\[3\] is inf"):
        grade(pnl, var, cvar, 0.01)
    with pytest.raises(ValueError, match="the tail is 99"):
        grade(pnl, var, var, 99)


def record(account, method, equity, var, cvar, pnl):
    made = np.zeros(1, GRADE)
    made["account"], made["method"], made["equity"] = account, method, equity
    made["at_risk"], made["shortfall"], made["pnl"] = var, cvar, pnl
    return made


def test_records_are_graded_by_account_and_method_as_shares_of_their_own_equity():
    records = np.concatenate(
        [
            record(0, Method.GAUSSIAN, 1_000, 20.0, 25.0, -30.0),
            record(2, Method.GAUSSIAN, 1_000, 20.0, 25.0, 0.0),
            record(0, Method.EWMA, 1_000, 40.0, 50.0, -30.0),
            record(0, Method.GAUSSIAN, 500, 20.0, 25.0, 5.0),
            record(0, Method.EWMA, 500, 5.0, 10.0, 5.0),
        ]
    )
    found = grades_of(records, 3, 0.01)
    assert {account: set(methods) for account, methods in found.items()} == {
        0: {Method.GAUSSIAN, Method.EWMA},
        1: set(),
        2: {Method.GAUSSIAN},
    }
    assert found[0][Method.GAUSSIAN] == grade([-0.03, 0.01], [0.02, 0.04], [0.025, 0.05], 0.01)
    assert found[0][Method.EWMA] == grade([-0.03, 0.01], [0.04, 0.01], [0.05, 0.02], 0.01)
    assert found[2][Method.GAUSSIAN] == grade([0.0], [0.02], [0.025], 0.01)


def test_records_without_equity_are_counted_as_skipped():
    records = np.concatenate(
        [record(0, Method.FILTERED, equity, 1.0, 1.0, -2.0) for equity in (100, 0, -5, 100)]
    )
    found = grades_of(records, 1, 0.01)[0][Method.FILTERED]
    assert (found.n, found.skipped, found.exceedances) == (2, 2, 2)
    none = grades_of(records[1:3], 1, 0.01)[0][Method.FILTERED]
    assert (none.n, none.skipped) == (0, 2)


def test_no_records_give_accounts_without_methods():
    assert grades_of(np.zeros(0, GRADE), 2, 0.01) == {0: {}, 1: {}}


def test_record_of_an_unknown_account_is_refused():
    with pytest.raises(ValueError, match="a forecast for account 1; there are 1 accounts"):
        grades_of(record(1, Method.EWMA, 1, 1.0, 1.0, 0.0), 1, 0.01)
