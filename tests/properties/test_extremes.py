"""Amounts at the edge of what numbers hold: they are exact, or refused; never wrapped, never silently wrong."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine
from engine.ledger import MONEY_LIMIT
from engine.records import DAY, Code, EventKind, OrderType, RowKind, Side, Slippage, Status, TimeInForce
from engine.spec import (
    AccountSpec,
    EngineSpec,
    InstrumentSpec,
    LimitsSpec,
    MarginSpec,
    SpecError,
    StrategySpec,
)
from tests.builders import MINUTE, make_engine, make_ticks, order, read, statuses
from tests.properties.books import Books
from tests.properties.structure import check_structure

prices = st.sampled_from((1e-12, 1e-8, 0.01, 1.0, 100.0, 1e6, 1e9, 1e12, 1e15, 1e17, 1e300))
sizes = st.sampled_from((0.0, 1e-8, 1.0, 1e9, 1e17, 1e300))
amounts = st.one_of(
    st.integers(1, 10),
    st.sampled_from((10**6, 10**9, 2**31, 2**32 + 1, 10**15, 2**53 - 1, 2**53, 10**17, 2**62)),
)


rows = st.tuples(prices, sizes, st.sampled_from((RowKind.PRINT, RowKind.CLOSE)))
actions = st.tuples(
    st.one_of(prices, st.sampled_from((2.0, 3.0, 1e9, 1e18, -1.0, np.nan, np.inf))),
    st.one_of(sizes, st.sampled_from((3.0, 1e9, -1.0, np.nan, np.inf))),
    st.sampled_from((RowKind.SPLIT, RowKind.DIVIDEND, RowKind.SYMBOL, RowKind.CASH, RowKind.DELISTING)),
)


@settings(max_examples=300)
@given(
    st.sampled_from((1e-8, 1e-4, 1.0, 1e6)),
    st.sampled_from((0.0, 1e-6, 1.0, 1e6, 9e9)),
    st.sampled_from(((0.0, 0.0, 0.0), (10.0, 0.0, 0.0), (0.0, 0.01, 0.0), (1e4, 1e3, 1e6))),
    st.sampled_from((0.0, 1e-6, 1.0)),
    st.sampled_from((None, None, MarginSpec(4.0, 0.1, 50.0, 50.0, 50.0), MarginSpec(1000.0, 0.0))),
    st.sampled_from(
        (LimitsSpec(), LimitsSpec(resize=True, max_gross=0.5), LimitsSpec(max_order_notional=1e6))
    ),
    st.lists(st.one_of(rows, rows, actions), min_size=1, max_size=12),
    st.lists(
        st.tuples(
            st.integers(0, 11),
            st.sampled_from(tuple(Side)),
            amounts,
            st.sampled_from(tuple(OrderType)),
            prices,
        ),
        max_size=10,
    ),
    st.lists(st.tuples(st.integers(0, 11), st.integers(-(2**63), 2**63 - 1)), max_size=2),
    st.sampled_from(tuple(Slippage)),
)
def test_amounts_of_any_size_balance_exactly_or_are_refused(
    lot_size: float,
    cash: float,
    fees: tuple[float, float, float],
    participation: float,
    margin: MarginSpec | None,
    limits: LimitsSpec,
    rows: list[tuple[float, float, RowKind]],
    orders: list[tuple[int, Side, int, OrderType, float]],
    deposits: list[tuple[int, int]],
    slippage: Slippage,
) -> None:
    spec = EngineSpec(
        (
            InstrumentSpec(
                "A",
                tick_size=1e-12,
                lot_size=lot_size,
                taker_bps=fees[0],
                maker_bps=fees[0],
                fee_per_unit=fees[1],
                fee_min=fees[2],
                participation=participation,
                slippage=slippage,
                slippage_value=50.0,
                fill_at_touch=True,
            ),
        ),
        (AccountSpec("a", cash, limits=limits, margin=margin),),
        (StrategySpec("s", "a", ("A",), MINUTE),),
    )
    engine = Engine(spec)
    books = Books(spec)
    last = 0.0
    for i, (price, size, kind) in enumerate(rows):
        for at, amount in deposits:
            if at == i:
                engine.deposit("a", amount)
        for at, side, lots, type_, level in orders:
            if at == i:
                limit = level if type_ in (OrderType.LIMIT, OrderType.STOP_LIMIT) else 0.0
                stop = level if type_ in (OrderType.STOP, OrderType.STOP_LIMIT) else 0.0
                trail = level if type_ == OrderType.TRAILING_STOP else 0.0
                engine.submit(0, side, lots, type_, TimeInForce.GTC, limit, stop, trail=trail)
        # a row each six hours: interest accrues
        books.take(engine.process(make_ticks([(i * DAY // 4, price, size, 0, kind)])), [last])
        books.agree_with(engine)
        check_structure(engine)
        last = float(engine.state.instruments[0].price)
        assert abs(int(engine.state.accounts[0].cash)) < 2**62


def test_order_of_more_lots_than_float_holds_exactly_is_denied() -> None:
    engine = make_engine()
    engine.process(make_ticks([(0, 1.0)]))
    for lots in (2**53 + 1, 10**17, 2**63 - 1):
        engine.submit(0, Side.BUY, lots)
    assert [e["code"] for e in read(engine.take_events())] == [Code.INSTRUMENT] * 3


@pytest.mark.parametrize("lots", [0, -1, -(2**62)])
def test_order_of_no_lots_or_less_is_denied(lots: int) -> None:
    engine = make_engine()
    engine.process(make_ticks([(0, 1.0)]))
    engine.submit(0, Side.BUY, lots)
    assert statuses(engine.take_events()) == [Status.DENIED]
    assert int(engine.state.accounts[0].reserved) == 0


@pytest.mark.parametrize("price", [0.0, -1.0, np.nan, np.inf, -np.inf])
def test_limit_or_stop_at_no_price_is_denied(price: float) -> None:
    engine = make_engine()
    engine.process(make_ticks([(0, 1.0)]))
    engine.submit(0, Side.BUY, 1, OrderType.LIMIT, limit=price)
    engine.submit(0, Side.BUY, 1, OrderType.STOP, stop=price)
    assert statuses(engine.take_events()) == [Status.DENIED, Status.DENIED]


def test_buy_that_no_exact_amount_of_money_pays_is_denied_and_holds_nothing_back() -> None:
    engine = make_engine(cash=9e9)
    engine.process(make_ticks([(0, 1e15)]))
    order(engine, Side.BUY, 10**6)
    assert statuses(engine.take_events()) == [Status.DENIED]
    assert int(engine.state.accounts[0].reserved) == 0


def test_sale_that_would_bring_more_than_money_holds_is_cancelled_with_the_code() -> None:
    engine = make_engine(cash=1_000.0)
    engine.process(make_ticks([(0, 0.01)]))
    order(engine, Side.BUY, 100_000)
    engine.process(make_ticks([(1, 0.01)]))
    order(engine, Side.SELL, 100_000)
    told = read(engine.process(make_ticks([(2, 1e9)])))  # worth 1e14 dollars, 1e20 millionths: past int64 too
    assert [(e["kind"], e["status"], e["code"]) for e in told][-1] == (
        EventKind.ORDER,
        Status.CANCELED,
        Code.OVERFLOW,
    )
    assert int(engine.state.slots[0].lots) == 100_000
    assert int(engine.state.slots[0].working_sell) == 0


def test_single_satoshi_lots_cost_to_the_last_millionth() -> None:
    # 12,345,678 x 64,123.45 / 1e8 = 7,916.474659491 dollars
    engine = make_engine(lot_size=1e-8, cash=1e6)
    engine.process(make_ticks([(0, 64_123.45)]))
    order(engine, Side.BUY, 12_345_678)
    engine.process(make_ticks([(1, 64_123.45)]))
    exact = Fraction(64_123_45, 100) * 12_345_678 / 10**8 * 10**6
    assert int(engine.state.slots[0].cost) == round(exact) == 7_916_474_659


@settings(max_examples=300)
@given(st.data())
def test_part_of_a_position_takes_its_share_of_the_cost_rounded_down(data: st.DataObject) -> None:
    of = data.draw(st.integers(2, 10**6), "lots held")
    lots = data.draw(st.integers(1, of - 1), "lots sold")
    cents = data.draw(st.integers(1, 10**5), "price in cents")
    engine = make_engine(cash=MONEY_LIMIT / 1e6 - 1, lot_size=1e-6)  # a lot costs a hundredth of `cents`
    engine.process(make_ticks([(0, cents / 100)]))
    order(engine, Side.BUY, of)
    engine.process(make_ticks([(1, cents / 100)]))
    cost = int(engine.state.slots[0].cost)
    order(engine, Side.SELL, lots)
    engine.process(make_ticks([(2, cents / 100)]))
    assert int(engine.state.slots[0].cost) == cost - cost * lots // of


def test_part_of_a_position_whose_share_is_a_whole_number_takes_exactly_that() -> None:
    # 44 lots of a millionth at 0.5 cost 22 units of money; 30 of them are 22 x 30 / 44 = 15 units, not 14
    engine = make_engine(lot_size=1e-6)
    engine.process(make_ticks([(0, 0.5)]))
    order(engine, Side.BUY, 44)
    engine.process(make_ticks([(1, 0.5)]))
    order(engine, Side.SELL, 30)
    engine.process(make_ticks([(2, 0.5)]))
    assert (int(engine.state.slots[0].lots), int(engine.state.slots[0].cost)) == (14, 22 - 15)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tick_size", 0.0), ("tick_size", np.nan), ("tick_size", np.inf), ("lot_size", -1.0), ("lot_size", np.inf),
        ("taker_bps", np.nan), ("maker_bps", np.inf), ("fee_per_unit", np.nan), ("fee_min", np.inf),
        ("participation", 1.5), ("slippage_value", np.nan), ("slippage_value", np.inf),
    ],
)  # fmt: skip
def test_instrument_with_a_number_that_is_none_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(SpecError, match=name):
        EngineSpec((InstrumentSpec("A", **{name: value}),), (), ()).check()  # type: ignore[arg-type] # a value of any type is the test


@pytest.mark.parametrize("cash", [-1.0, np.nan, np.inf, 1e10])
def test_account_whose_cash_does_not_fit_money_is_refused(cash: float) -> None:
    with pytest.raises(SpecError, match="cash"):
        make_engine(cash=cash)
