"""Where a row meets an order, what it pays, and what the cash buys: each against a plain rule or a search."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.book import triggers
from engine.costs import affordable, order_fee, slipped
from engine.ledger import NO_MONEY, money
from engine.matching import met_price
from engine.records import (
    NEVER,
    RECORD_TYPES,
    OrderType,
    RowKind,
    Side,
    Slippage,
    TimeInForce,
)
from tests.builders import plain


def record(dtype: Any, **fields: Any) -> Any:
    r = np.zeros(1, dtype).view(np.recarray)[0]
    for name, value in fields.items():
        setattr(r, name, value)
    return r


def an_order(side: Side, type_: OrderType, price: float = 0.0, **fields: Any) -> Any:
    given = {
        "side": side,
        "type": type_,
        "limit": price,
        "stop": price,
        "lots": 10,
        "taker": 1,
        "expires": NEVER,
    }
    return record(RECORD_TYPES.orders, **(given | fields))


def an_instrument(**fields: Any) -> Any:
    given = {"tick_size": 0.01, "lot_size": 1.0, "money_per_lot": 1e6, "lots_per_money": 1.0}
    return record(RECORD_TYPES.instruments, **(given | fields))


prices = st.integers(90, 110).map(float)
sides = st.sampled_from(list(Side))


@given(sides, prices, prices, prices, st.booleans())
def test_limit_never_fills_at_a_price_worse_than_the_limit(
    side: Side, limit: float, previous: float, price: float, touch: bool
) -> None:
    for kind in (RowKind.PRINT, RowKind.EXTREME, RowKind.CLOSE):
        met = plain(met_price)(an_order(side, OrderType.LIMIT, limit), previous, price, kind, int(touch))
        assert met == 0.0 or (limit - met) * side >= 0
        if kind != RowKind.PRINT:  # a path fills only where it went
            assert met == 0.0 or min(previous, price) <= met <= max(previous, price)


@given(sides, prices, prices, prices)
def test_stop_fills_at_the_first_point_of_the_path_at_or_beyond_it(
    side: Side, stop: float, previous: float, price: float
) -> None:
    # the path in whole steps, walked one by one
    step = 1 if price >= previous else -1
    points = [float(p) for p in range(int(previous), int(price) + step, step)]
    expected = next((p for p in points if (p - stop) * side >= 0), 0.0)
    assert (
        plain(met_price)(an_order(side, OrderType.STOP, stop), previous, price, RowKind.EXTREME, 0)
        == expected
    )


@given(sides, prices, prices, prices)
def test_limit_fills_at_the_first_point_of_the_path_that_is_good_enough(
    side: Side, limit: float, previous: float, price: float
) -> None:
    # through: beyond the limit by however little, so the path must go on past it; the fill is at the limit
    beyond = (limit - price) * side > 0 or (limit - previous) * side > 0
    expected = 0.0 if not beyond else previous if (limit - previous) * side > 0 else limit
    assert (
        plain(met_price)(an_order(side, OrderType.LIMIT, limit), previous, price, RowKind.CLOSE, 0)
        == expected
    )


@given(sides, prices, prices, prices, st.booleans(), st.sampled_from([OrderType.LIMIT, OrderType.STOP]))
def test_print_at_which_an_order_is_met_is_never_within_the_quiet_prices(
    side: Side, limit: float, previous: float, price: float, touch: bool, type_: OrderType
) -> None:
    order = an_order(side, type_, limit)
    low, high = plain(triggers)(order, int(touch), 0.0)
    if plain(met_price)(order, previous, price, RowKind.PRINT, int(touch)) > 0.0:
        assert price <= low or price >= high


@pytest.mark.parametrize("kind", list(RowKind)[:3])
def test_market_order_is_met_by_all_but_the_extremes(kind: RowKind) -> None:
    expected = 0.0 if kind == RowKind.EXTREME else 101.0
    assert plain(met_price)(an_order(Side.BUY, OrderType.MARKET), 100.0, 101.0, kind, 0) == expected


@pytest.mark.parametrize("type_", [OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP])
def test_row_that_does_not_reach_a_stop_changes_nothing_and_one_that_does_triggers_it(
    type_: OrderType,
) -> None:
    order = an_order(Side.BUY, type_, 100.0, tif=TimeInForce.DAY)
    was = order.tobytes()
    assert plain(met_price)(order, 99.0, 99.5, RowKind.PRINT, 0) == 0.0
    assert order.tobytes() == was
    plain(met_price)(order, 99.5, 100.0, RowKind.PRINT, 0)
    assert order.triggered == 1


def test_stop_limit_triggered_by_a_path_fills_within_its_limit_on_what_is_left_of_the_path() -> None:
    # to sell: triggered at 100 on the way down from 104 to 96; the limit of 102 is not to be had any more
    order = an_order(Side.SELL, OrderType.STOP_LIMIT, stop=100.0, limit=102.0)
    assert plain(met_price)(order, 104.0, 96.0, RowKind.EXTREME, 0) == 0.0
    assert order.triggered == 1
    # and is on the way up to 103, through 102
    assert plain(met_price)(order, 96.0, 103.0, RowKind.CLOSE, 0) == 102.0


@given(sides, st.floats(0.01, 1e6), st.integers(1, 10**6), st.floats(0, 1e9), st.floats(0, 100))
def test_square_root_impact_is_the_formula(
    side: Side, price: float, lots: int, size: float, bps: float
) -> None:
    instrument = an_instrument(slippage=Slippage.SQRT_IMPACT, slippage_value=bps)
    share = min(lots / size, 1.0) if size > 0 else 1.0
    expected = max(price * (1 + side * bps / 10_000 * math.sqrt(share)), 0.01)
    assert plain(slipped)(instrument, int(side), price, lots, size) == pytest.approx(expected, rel=1e-12)


@given(
    st.integers(1, 10_000),
    st.floats(0.01, 1_000),
    st.integers(0, 10**9),
    st.sampled_from([0.0, 1.0, 25.0]),
    st.sampled_from([0, 1_000_000]),
    st.sampled_from([0.0, 5_000.0]),
)
def test_affordable_is_the_most_that_the_cash_pays_for(
    lots: int, price: float, cash: int, bps: float, fee_min: int, per_lot: float
) -> None:
    instrument = an_instrument(taker_bps=bps, fee_min=fee_min, fee_per_lot=per_lot)

    def cost(n: int) -> int:
        notional = round(price * (n * 1e6))
        return notional + max(round(notional * (bps * 1e-4) + n * per_lot), fee_min)

    most = plain(affordable)(instrument, an_order(Side.BUY, OrderType.MARKET, lots=lots), price, lots, cash)
    assert 0 <= most <= lots
    assert most == 0 or cost(most) <= cash
    assert most == lots or cost(most + 1) > cash


@pytest.mark.parametrize(("exact", "fee"), [(0.0, 1_000), (999.6, 1_000), (1_000.5, 1_000), (1_001.5, 1_002)])
def test_fee_of_an_order_is_at_least_its_minimum(exact: float, fee: int) -> None:
    assert plain(order_fee)(an_instrument(fee_min=1_000), exact) == fee


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, 0),
        (1.5, 2),
        (-0.5, 0),
        (-1.5, -2),
        (2.0**53 - 1, 2**53 - 1),
        (2.0**53, NO_MONEY),
        (-(2.0**53), NO_MONEY),
        (math.nan, NO_MONEY),
        (math.inf, NO_MONEY),
    ],
)
def test_money_is_rounded_half_to_even_and_refused_where_it_is_not_exact(value: float, expected: int) -> None:
    assert plain(money)(value) == expected
