"""What a specification may say of risk: what makes no sense is refused, in words that name the thing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from engine.engine import Engine, SnapshotError
from engine.records import DAY, LimitAction, Method
from engine.spec import (
    GradingSpec,
    LimitSpec,
    LimitsSpec,
    RiskLimits,
    RiskSpec,
    ShockSpec,
    SpecError,
    WindowSpec,
)
from tests.builders import make_engine

VAR = RiskLimits(var=LimitSpec(0.02))
STRESSED = RiskLimits(stressed_var=LimitSpec(0.1))
SHOCK = ShockSpec("crash", (("A", -0.1),))


def build(limits: RiskLimits | None = None, of_strategy: RiskLimits | None = None, **given: Any) -> Engine:
    """One instrument, account and strategy; `given`: fields of the RiskSpec."""
    spec = make_engine().spec
    accounts = (replace(spec.accounts[0], limits=LimitsSpec(risk=limits or RiskLimits())),)
    strategies = (replace(spec.strategies[0], limits=of_strategy or RiskLimits()),)
    risk = RiskSpec(**given)
    return Engine(replace(spec, accounts=accounts, strategies=strategies, trade_from=0, risk=risk))


def test_risk_as_it_is_without_a_word_is_sound() -> None:
    assert build(VAR, VAR).measure("a").var == 0.0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"confidence": 0.5}, "confidence of 0.5"),
        ({"confidence": 1.0}, "confidence of 1.0"),
        ({"confidence": math.nan}, "confidence of nan"),
        ({"horizon": 0}, "horizon of 0"),
        ({"period_ns": 0}, "period_ns of 0"),
        ({"window": 1, "min_history": 1}, "window of 1"),
        ({"min_history": 501}, "min_history of 501"),
        ({"min_history": 1}, "min_history of 1"),
        ({"prior_volatility": -0.01}, "prior_volatility of -0.01"),
        ({"prior_volatility": math.nan}, "prior_volatility of nan"),
        ({"prior_volatility": math.inf}, "prior_volatility of inf"),
        ({"decay": 1.0}, "decay of 1.0"),
        ({"decay": 0.0}, "decay of 0.0"),
        ({"draws": 1}, "draws of 1"),
        ({"seed": -1}, "seed of -1"),
        ({"grading": GradingSpec(outcomes=0)}, "outcomes of 0"),
        ({"grading": GradingSpec(significance=0.0)}, "significance of 0.0"),
        ({"grading": GradingSpec(tighten=0.0)}, "tighten of 0.0"),
        ({"grading": GradingSpec(tighten=1.5)}, "tighten of 1.5"),
        ({"min_history": 99}, "0.99 quantile of 99 returns"),
        ({"method": Method.FILTERED, "min_history": 99}, "0.99 quantile of 99 returns"),
        ({"method": Method.MONTE_CARLO, "draws": 99}, "0.99 quantile of 99 draws"),
        ({"shocks": (SHOCK, SHOCK)}, "'crash' is given twice"),
        ({"shocks": (SHOCK,), "windows": (WindowSpec("crash", -2 * DAY, 0),)}, "'crash' is given twice"),
        ({"shocks": (ShockSpec("x", (("B", -0.1),)),)}, "names 'B', which is no instrument"),
        ({"shocks": (ShockSpec("x", (("A", -1.1),)),)}, "return of -1.1 for 'A'"),
        ({"shocks": (ShockSpec("x", (), math.nan),)}, "return of nan for 'others'"),
        ({"windows": (WindowSpec("w", 0, 0),)}, "'w' ends before it begins"),
        ({"windows": (WindowSpec("w", -DAY, 1),)}, "'w' ends after trading begins"),
    ],
)
def test_setting_that_makes_no_sense_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        build(VAR, **given)


@pytest.mark.parametrize(
    "given",
    [
        {"min_history": 100},
        {"method": Method.GAUSSIAN, "min_history": 2},
        {"method": Method.MONTE_CARLO, "min_history": 2, "draws": 100},
        {"confidence": 0.9, "min_history": 10},  # 10 x (1 - 0.9) is a little less than 1 in floats
        {"window": 3, "min_history": 3, "confidence": 0.51},
        {"shocks": (ShockSpec("x", (("A", -1.0),), 3.0),)},
    ],
)
def test_setting_that_just_makes_sense_is_taken(given: dict[str, Any]) -> None:
    build(VAR, **given)


@pytest.mark.parametrize(("of_account", "of_strategy"), [(VAR, None), (None, VAR)])
def test_limit_on_var_without_a_word_of_how_it_is_forecast_is_refused(
    of_account: RiskLimits | None, of_strategy: RiskLimits | None
) -> None:
    spec = build(of_account, of_strategy).spec
    with pytest.raises(SpecError, match=r"(account 'a'|strategy 's'): a limit on VaR needs `risk`"):
        Engine(replace(spec, risk=None))


def test_limit_on_stressed_var_without_any_stress_is_refused() -> None:
    with pytest.raises(SpecError, match="account 'a': a limit on stressed VaR needs a window or a shock"):
        build(STRESSED)
    build(STRESSED, shocks=(SHOCK,))


def test_drawdown_needs_no_forecast() -> None:
    make_engine(limits=LimitsSpec(risk=RiskLimits(drawdown=LimitSpec(0.1))))


@pytest.mark.parametrize("name", ["var", "cvar", "stressed_var", "drawdown", "daily_loss"])
@pytest.mark.parametrize(
    ("limit", "says"),
    [
        (LimitSpec(-0.1), "limit of -0.1"),
        (LimitSpec(math.nan), "limit of nan"),
        (LimitSpec(math.inf), "limit of inf"),
        (LimitSpec(0.1, math.nan), "warning of nan"),
        (LimitSpec(0.1, 0.1), "the warning at 0.1 is not below the limit of 0.1"),
    ],
)
def test_limit_that_is_none_is_refused(name: str, limit: LimitSpec, says: str) -> None:
    with pytest.raises(SpecError, match=f"{name}: {says}"):
        build(RiskLimits(**{name: limit}), shocks=(SHOCK,))


@pytest.mark.parametrize("name", ["drawdown", "daily_loss"])
def test_what_is_lost_already_resizes_nothing(name: str) -> None:
    with pytest.raises(SpecError, match=f"strategy 's': {name}"):
        build(of_strategy=RiskLimits(**{name: LimitSpec(0.1, action=LimitAction.RESIZE)}))


def test_engine_without_room_for_an_order_is_refused() -> None:
    with pytest.raises(SpecError, match="most_orders of 0"):
        Engine(replace(make_engine().spec, most_orders=0))


def test_specifications_that_differ_in_a_shock_have_snapshots_of_their_own() -> None:
    one, other = build(shocks=(SHOCK,)), build(shocks=(replace(SHOCK, others=-0.01),))
    with pytest.raises(SnapshotError, match="another engine"):
        one.restore(other.snapshot())
