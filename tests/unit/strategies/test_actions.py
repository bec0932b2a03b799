"""What a strategy is told of corporate actions, and what it sees after them."""

from __future__ import annotations

from typing import Any

import pytest

from engine.records import SECOND, RowKind, Side, Wants
from engine.spec import InstrumentSpec
from strategies import Bar, Code, Context, CorporateAction, Order, Strategy, Tick
from tests.builders import MINUTE, fills, join, make_ticks
from tests.unit.strategies.worlds import make_world

NAMED = InstrumentSpec("A", symbols=("ALPHA", "ALEPH"))


class Listener(Strategy):
    """Buys once and writes down what happens, with what it sees at that moment."""

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.heard: list[CorporateAction] = []
        self.seen: list[tuple[Any, ...]] = []
        self.order_of_calls: list[str] = []

    def on_tick(self, ctx: Context, tick: Tick) -> None:
        if ctx.now == 0:
            ctx.buy("A", 30)
        elif ctx.now == SECOND:
            ctx.buy("A", 10, limit=6.0)

    def on_order(self, ctx: Context, order: Order) -> None:
        self.order_of_calls.append(f"order {order.quantity:g} at {order.limit}")

    def on_corporate_action(self, ctx: Context, action: CorporateAction) -> None:
        self.order_of_calls.append("action")
        self.heard.append(action)
        limits = [order.limit for order in ctx.orders()]
        self.seen.append((ctx.position(), round(ctx.account.cash, 9), ctx.price(), limits))


def told(*rows: tuple[float, ...], instrument: InstrumentSpec = NAMED, **world: Any) -> Listener:
    """The strategy after 30 A were bought at 10 and the rows came, of which each has its own nanosecond."""
    engine, actor = make_world(Listener, instruments=(instrument,), cash=1000.0, **world)
    engine.start()
    start = make_ticks([(0, 10.0), (SECOND, 10.0)])
    engine.process(join(start, make_ticks([(2 * SECOND + i, *row) for i, row in enumerate(rows)])))
    assert isinstance(actor.strategy, Listener)
    return actor.strategy


def row(kind: RowKind, price: float, size: float = 0.0) -> tuple[float, ...]:
    return price, size, 0, kind


def test_split_is_told_after_position_price_and_orders_have_followed() -> None:
    listener = told(row(RowKind.SPLIT, 3.0, 2.0))
    assert listener.heard == [
        CorporateAction(2 * SECOND, Code.SPLIT, "A", numerator=3.0, denominator=2.0, factor=2 / 3)
    ]
    # 30 at 10 are 45 at 10 x 2 / 3; the limit of 6 is now at 4
    assert listener.seen == [(45.0, 700.0, 10.0 * 2 / 3, [4.0])]
    assert listener.order_of_calls[-2:] == ["action", "order 15 at 4.0"]


def test_price_remembered_before_a_split_times_its_factor_is_the_price_after_it() -> None:
    listener = told(row(RowKind.SPLIT, 1.0, 8.0))  # a reverse split: 1 for 8
    assert listener.heard[0].factor * 10.0 == listener.seen[0][2] == 80.0


def test_dividend_is_told_with_the_factor_that_makes_prices_continuous() -> None:
    listener = told(row(RowKind.DIVIDEND, 0.5))
    (action,) = listener.heard
    assert (action.kind, action.amount, action.symbol) == (Code.DIVIDEND, 0.5, None)
    assert action.factor == pytest.approx(1 - 0.5 / 10, rel=1e-15)
    assert (action.numerator, action.denominator) == (1.0, 1.0)
    # 30 x 0.5 came in; what buys below falls with the price
    assert listener.seen == [(30.0, 715.0, 9.5, [5.5])]


def test_bars_after_a_dividend_are_those_from_before_times_the_factor() -> None:
    seen: list[float] = []

    class Looker(Strategy):
        def on_corporate_action(self, ctx: Context, action: CorporateAction) -> None:
            seen.extend([action.factor * 12.5, float(ctx.bars(1)["close"][0])])

    engine, _ = make_world(Looker)
    engine.start()
    engine.process(make_ticks([(0, 12.5), (MINUTE, 8.0), (MINUTE + 1, 0.3, 0.0, 0, RowKind.DIVIDEND)]))
    assert seen[1] == pytest.approx(seen[0], rel=1e-15)
    assert seen[0] == pytest.approx(12.5 * (1 - 0.3 / 8.0), rel=1e-15)


def test_symbol_is_told_by_name_and_delisting_with_what_a_unit_pays() -> None:
    listener = told(
        row(RowKind.SYMBOL, 1.0),
        row(RowKind.SYMBOL, 0.0),
        row(RowKind.DELISTING, 2.5, 1.0),
    )
    assert [(a.kind, a.symbol, a.amount, a.factor) for a in listener.heard] == [
        (Code.SYMBOL, "ALEPH", 0.0, 1.0),
        (Code.SYMBOL, "ALPHA", 0.0, 1.0),
        (Code.DELISTED, None, 2.5, 1.0),
    ]
    assert listener.seen[-1] == (0.0, 775.0, 10.0, [])  # 30 x 2.5 came in, and the order is gone


def test_strategy_is_told_of_its_own_instruments_and_not_while_history_warms_up() -> None:
    heard: list[str] = []

    class OfA(Strategy):
        def on_corporate_action(self, ctx: Context, action: CorporateAction) -> None:
            heard.append(f"{action.instrument} {action.ts_event}")

    rows = [
        (t, 10.0, 1.0, k, RowKind.PRINT)
        if kind is None
        else (t, 2.0, 1.0, k, kind)
        for t, k, kind in ((0, 0, None), (1, 0, RowKind.SPLIT), (2, 1, RowKind.SPLIT), (9, 1, RowKind.SPLIT))
    ]  # fmt: skip
    engine, _ = make_world(OfA, instruments=(InstrumentSpec("A"), InstrumentSpec("B")), trade_from=2)
    engine.start()
    engine.process(make_ticks(rows))
    assert heard == ["B 2", "B 9"]


def test_strategy_that_does_not_handle_actions_trades_on_across_them() -> None:
    class Deaf(Strategy):
        def on_bar(self, ctx: Context, bar: Bar) -> None:
            ctx.target("A", 6)

    engine, actor = make_world(Deaf)
    engine.start()
    tape = make_ticks(
        [(0, 10.0), (MINUTE, 10.0), (MINUTE + 1, 2.0, 1.0, 0, RowKind.SPLIT), (2 * MINUTE, 5.0)]
    )
    assert actor.wants == Wants.BAR
    # 6 became 12, of which 6 are too many at the next close
    assert fills(engine.process(tape)) == [(1, Side.BUY, 6, 10.0), (2, Side.SELL, 6, 5.0)]
