"""What does not fit together is refused, by name, before anything runs."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine.engine import Engine
from engine.policies import Policy
from engine.records import BarKind, SizeKind
from engine.spec import (
    AccountSpec,
    EngineSpec,
    InstrumentSpec,
    LimitsSpec,
    MarginSpec,
    RiskLimits,
    Sessions,
    SpecError,
    StrategySpec,
)
from tests.builders import MINUTE

GOOD = EngineSpec(
    (InstrumentSpec("A"),), (AccountSpec("a", 1_000),), (StrategySpec("s", "a", ("A",), MINUTE),)
)


def refused(spec: EngineSpec, *words: str) -> None:
    with pytest.raises(SpecError) as caught:
        Engine(spec)
    for word in words:
        assert word in str(caught.value)


def instrument(**fields: Any) -> EngineSpec:
    return replace(GOOD, instruments=(replace(GOOD.instruments[0], **fields),))


def account(**fields: Any) -> EngineSpec:
    return replace(GOOD, accounts=(replace(GOOD.accounts[0], **fields),))


def strategy(**fields: Any) -> EngineSpec:
    return replace(GOOD, strategies=(replace(GOOD.strategies[0], **fields),))


def test_good_specification_is_taken() -> None:
    GOOD.check()


@pytest.mark.parametrize("part", ["instrument", "account", "strategy"])
def test_name_given_twice(part: str) -> None:
    field = {"instrument": "instruments", "account": "accounts", "strategy": "strategies"}[part]
    refused(replace(GOOD, **{field: getattr(GOOD, field) * 2}), part, "twice")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tick_size", 0.0),
        ("tick_size", -0.01),
        ("tick_size", float("nan")),
        ("tick_size", float("inf")),
        ("lot_size", 0.0),
        ("lot_size", float("inf")),
        ("fee_min", -1.0),
        ("taker_bps", float("nan")),
        ("maker_bps", float("nan")),
        ("fee_per_unit", float("nan")),
        ("min_lots", 0),
        ("max_lots", 0),
        ("latency_ns", -1),
        ("slippage_value", -1.0),
        ("slippage_value", float("nan")),
        ("participation", -0.1),
        ("participation", 1.1),
        ("participation", float("nan")),
    ],
)
def test_field_of_an_instrument_out_of_range(field: str, value: float) -> None:
    refused(instrument(**{field: value}), "'A'", field, str(value))


@pytest.mark.parametrize("cash", [-1.0, float("nan"), float("inf"), 1e10])
def test_cash_that_is_negative_or_beyond_exact_money(cash: float) -> None:
    refused(account(cash=cash), "'a'", "cash")


@pytest.mark.parametrize("field", list(LimitsSpec.__dataclass_fields__))
def test_limit_that_is_no_limit_is_refused_not_switched_off(field: str) -> None:
    default = getattr(LimitsSpec(), field)
    if isinstance(default, bool | RiskLimits):
        return
    for wrong in [-1, float("nan")] if isinstance(default, float) else [-1]:
        given: dict[str, Any] = {field: wrong}
        refused(account(limits=LimitsSpec(**given)), "'a'", field)


def test_order_rate_without_its_window() -> None:
    refused(account(limits=LimitsSpec(rate_orders=5)), "'a'", "rate_window_ns")


def test_strategy_in_an_account_that_is_not_there() -> None:
    refused(strategy(account="b"), "'s'", "no account 'b'")


def test_strategy_in_an_instrument_that_is_not_there() -> None:
    refused(strategy(instruments=("A", "B")), "'s'", "no instrument 'B'")


def test_strategy_without_an_instrument() -> None:
    refused(strategy(instruments=()), "'s'", "no instrument")


def test_strategy_with_an_instrument_twice() -> None:
    refused(strategy(instruments=("A", "A")), "'s'", "'A'", "twice")


@pytest.mark.parametrize("timeframe", [0, -MINUTE])
def test_timeframe_that_is_not_positive(timeframe: int) -> None:
    refused(strategy(timeframe_ns=timeframe), "'s'", "timeframe")


def test_instrument_of_another_currency_than_the_account() -> None:
    refused(instrument(currency="EUR"), "'s'", "A is in EUR", "USD")


def test_size_that_is_no_whole_number_of_lots() -> None:
    spec = strategy(policy=Policy.BUY_AND_HOLD, features=("close",), size_value=1.5)
    refused(spec, "s", "1.5", "lots of 1")


def test_size_in_units_over_instruments_of_different_lots() -> None:
    spec = replace(
        GOOD,
        instruments=(InstrumentSpec("A"), InstrumentSpec("B", lot_size=0.5)),
        strategies=(
            StrategySpec("s", "a", ("A", "B"), MINUTE, ("close",), Policy.BUY_AND_HOLD, size_value=2.0),
        ),
    )
    refused(spec, "'s'", "lot size")


@pytest.mark.parametrize("size", [0.0, -0.5, 1.5, float("nan")])
def test_share_of_equity_that_is_no_share(size: float) -> None:
    spec = strategy(
        policy=Policy.BUY_AND_HOLD, features=("close",), size_kind=SizeKind.FRACTION, size_value=size
    )
    refused(spec, "'s'", "size")


@pytest.mark.parametrize(
    ("policy", "features"),
    [
        (Policy.SMA_CROSS, ()),
        (Policy.SMA_CROSS, ("sma_2",)),
        (Policy.MOMENTUM, ()),
        (Policy.RSI_REVERSION, ()),
    ],
)
def test_policy_without_the_features_it_looks_at(policy: Policy, features: tuple[str, ...]) -> None:
    # it would read past its observation
    refused(strategy(policy=policy, features=features, size_value=1.0), "'s'", "feature")


def test_unknown_feature() -> None:
    with pytest.raises(ValueError, match="unknown feature 'smart'"):
        Engine(strategy(features=("smart",)))


def test_grace_that_is_negative() -> None:
    refused(replace(GOOD, grace_ns=-1), "grace")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("leverage", 0.0),
        ("leverage", -1.0),
        ("leverage", 1001.0),
        ("leverage", float("nan")),
        ("maintenance", -0.1),
        ("maintenance", 0.6),  # above the initial margin, which is 1 / 2
        ("maintenance", float("nan")),
        ("borrow_rate", -0.01),
        ("debit_rate", float("inf")),
        ("credit_rate", float("nan")),
    ],
)
def test_margin_that_makes_no_sense(field: str, value: float) -> None:
    refused(account(margin=MarginSpec(**({"leverage": 2.0} | {field: value}))), "'a'", field)


def sessions(*times: int) -> Sessions:
    return Sessions(np.array(times[::2], np.int64), np.array(times[1::2], np.int64))


def test_calendar_that_is_not_given() -> None:
    refused(instrument(calendar="moon"), "'A'", "'moon'")


@pytest.mark.parametrize("times", [(), (10, 5), (0, 10, 5, 20), (20, 30, 0, 10)])
def test_calendar_without_sessions_or_with_sessions_that_are_not_in_order(times: tuple[int, ...]) -> None:
    refused(replace(instrument(calendar="c"), calendars={"c": sessions(*times)}), "'c'")


def test_calendar_whose_sessions_follow_upon_each_other_is_taken() -> None:
    replace(instrument(calendar="c"), calendars={"c": sessions(0, 10, 10, 20)}).check()


def test_calendars_of_other_sessions_make_another_specification() -> None:
    one, other = (replace(GOOD, calendars={"c": sessions(0, end)}) for end in (10, 11))
    assert repr(one) != repr(other)
    assert one != other
    assert one == replace(GOOD, calendars={"c": sessions(0, 10)})


@pytest.mark.parametrize("scale", [0, -1, 10**13, 2.5])
def test_scale_of_a_currency_that_is_no_count_of_units(scale: int) -> None:
    refused(replace(GOOD, scales={"USD": scale}), "'USD'", "scale")


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("kind", [BarKind.TICKS, BarKind.VOLUME, BarKind.VALUE])
def test_bars_cut_by_no_amount(kind: BarKind, size: float) -> None:
    refused(strategy(bar_kind=kind, bar_size=size), "'s'")


def test_further_timeframe_of_no_length() -> None:
    refused(strategy(also=(MINUTE, 0)), "'s'", "further timeframe")
