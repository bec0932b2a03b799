"""The orders that a strategy can place: what reaches the broker, and what cannot be meant."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from engine.records import SECOND
from engine.spec import MarginSpec
from strategies import (
    Bar,
    Code,
    Context,
    Fill,
    Order,
    OrderTerms,
    OrderType,
    Side,
    Status,
    Strategy,
    TimeInForce,
)
from tests.builders import MINUTE, fills, make_ticks
from tests.unit.strategies.worlds import asked, at_each_bar, make_world

MARGIN = MarginSpec(leverage=2.0)
LATER = 5 * MINUTE
GTC, DAY, IOC, FOK, GTD, OPEN, CLOSE = (
    TimeInForce.GTC, TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD, TimeInForce.AT_THE_OPEN,
    TimeInForce.AT_THE_CLOSE,
)  # fmt: skip
MARKET, LIMIT, STOP, STOP_LIMIT, TRAILING = OrderType


def told(act: Callable[[Context], Any], rows: list[tuple[float, ...]], **world: Any) -> tuple[Any, list[Any]]:
    """The engine, and the orders and fills that a strategy is told of which acts once, at the close of the first minute."""
    heard: list[Any] = []

    class Acting(Strategy):
        def on_start(self, ctx: Context) -> None:
            ctx.set_timer(1, MINUTE)

        def on_timer(self, ctx: Context, timer_id: int) -> None:
            act(ctx)

        def on_order(self, ctx: Context, order: Order) -> None:
            heard.append(order)

        def on_fill(self, ctx: Context, fill: Fill) -> None:
            heard.append(fill)

    engine, _ = make_world(Acting, **world)
    engine.start()
    engine.process(make_ticks([(0, 10.0), *rows]))
    return engine, heard


def after(*prices: float) -> list[tuple[float, ...]]:
    """Prints a second apart, from the second minute on."""
    return [(MINUTE + i * SECOND, price) for i, price in enumerate(prices)]


# -- what the terms make ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        # type, tif, limit, stop, trail, trail_percent, expires; the price is 11
        ({}, (MARKET, GTC, None, None, None, None, None)),
        ({"limit": 9.5}, (LIMIT, GTC, 9.5, None, None, None, None)),
        ({"stop": 12.0, "tif": DAY}, (STOP, DAY, None, 12.0, None, None, None)),
        ({"stop": 12.0, "limit": 12.5}, (STOP_LIMIT, GTC, 12.5, 12.0, None, None, None)),
        ({"trail": 0.75}, (TRAILING, GTC, None, 11.75, 0.75, None, None)),
        ({"trail_percent": 0.05}, (TRAILING, GTC, None, 11.55, None, 0.05, None)),
        ({"limit": 9.5, "expires": LATER}, (LIMIT, GTD, 9.5, None, None, None, LATER)),
        ({"tif": GTD, "expires": LATER}, (MARKET, GTD, None, None, None, None, LATER)),
        # half past one at +01:30 is midnight UTC; and five minutes
        (
            {
                "limit": 9.5,
                "expires": datetime(1970, 1, 1, 1, 35, tzinfo=timezone(timedelta(hours=1, minutes=30))),
            },
            (LIMIT, GTD, 9.5, None, None, None, LATER),
        ),
        ({"tif": IOC}, (MARKET, IOC, None, None, None, None, None)),
        ({"limit": 12.0, "tif": FOK}, (LIMIT, FOK, 12.0, None, None, None, None)),
        ({"tif": OPEN}, (MARKET, OPEN, None, None, None, None, None)),
        # the session of an instrument without a calendar ends at midnight
        ({"limit": 9.0, "tif": CLOSE}, (LIMIT, CLOSE, 9.0, None, None, None, 86_400 * SECOND)),
    ],
)
def test_terms_make_the_order_that_the_broker_has(terms: dict[str, Any], expected: tuple[Any, ...]) -> None:
    seen = at_each_bar(lambda ctx, bar: (ctx.buy("A", 3, tag=8, **terms), *ctx.orders())[1], margin=MARGIN)
    o = seen[0]
    assert (o.type, o.time_in_force, o.limit, o.stop, o.trail, o.trail_percent, o.expires) == expected
    assert (o.side, o.quantity, o.tag, o.post_only, o.reduce_only) == (Side.BUY, 3.0, 8, False, False)
    assert o.parent_id is None


def test_sell_takes_the_same_terms_as_buy() -> None:
    def place(ctx: Context, bar: Bar) -> list[Order]:
        ctx.sell("A", 3, limit=12.5, post_only=True, tag=4)
        ctx.sell("A", 2, trail=1.25)
        return ctx.orders()

    first, second = at_each_bar(place, margin=MARGIN)[0]
    assert (first.side, first.type, first.limit, first.post_only, first.tag) == (
        Side.SELL,
        LIMIT,
        12.5,
        True,
        4,
    )
    assert (second.side, second.type, second.stop, second.trail) == (Side.SELL, TRAILING, 9.75, 1.25)


def test_stop_limit_waits_for_its_stop_and_then_for_its_limit() -> None:
    # 11.9: not reached; 13: the stop is, beyond the limit; 12.4: within it
    _, heard = told(lambda ctx: ctx.buy("A", 3, stop=12.0, limit=12.5), after(11.0, 11.9, 13.0, 12.4))
    assert [(f.ts_event, f.last_px, f.status) for f in heard if isinstance(f, Fill)] == [
        (MINUTE + 3 * SECOND, 12.4, Status.FILLED)
    ]


def test_post_only_order_that_would_take_is_rejected() -> None:
    _, heard = told(lambda ctx: ctx.buy("A", 3, limit=10.5, post_only=True), after(10.4))
    assert [(o.status, o.code) for o in heard] == [(Status.REJECTED, Code.POST_ONLY)]


def test_reduce_only_order_never_flips_the_position() -> None:
    def later(ctx: Context, bar: Bar) -> list[Order]:
        if bar.start == 0:
            ctx.buy("A", 3)
        elif ctx.position() == 3.0:
            ctx.sell("A", 5, limit=99.0, reduce_only=True)
        return ctx.orders()

    # before the position is there, there is nothing to reduce
    _, heard = told(lambda ctx: ctx.sell("A", 5, limit=12.0, reduce_only=True), after(10.0), margin=MARGIN)
    assert [(o.status, o.code) for o in heard] == [(Status.DENIED, Code.REDUCE_ONLY)]
    order = at_each_bar(later, margin=MARGIN)[1][0]
    assert (order.quantity, order.reduce_only, order.code) == (3.0, True, Code.REDUCE_ONLY)


# -- brackets and pairs -------------------------------------------------------------------------------------------


def test_bracket_takes_its_profit_and_cancels_its_stop() -> None:
    ids: list[int] = []
    _, heard = told(
        lambda ctx: ids.extend(
            ctx.bracket("A", Side.BUY, 10, take_profit=12.0, stop_loss=9.0, stop_loss_limit=8.5, tag=6)
        ),
        after(10.0, 11.0, 12.5),
        margin=MARGIN,
    )
    parent, profit, loss = ids
    # bought 10 at 10; the print at 12.5 is beyond the limit of 12, which fills at 12.5: 10 x 2.5 = 25
    sold = [f for f in heard if isinstance(f, Fill)]
    assert [(f.order_id, f.side, f.last_px, f.realized, f.position, f.tag) for f in sold] == [
        (parent, Side.BUY, 10.0, 0.0, 10.0, 6),
        (profit, Side.SELL, 12.5, 25.0, 0.0, 6),
    ]
    children = {o.order_id: o for o in heard if isinstance(o, Order) and o.parent_id == parent}
    assert sorted(children) == [profit, loss]
    o = children[loss]
    assert (o.status, o.code, o.type, o.stop, o.limit) == (Status.CANCELED, Code.OCO, STOP_LIMIT, 9.0, 8.5)
    assert o.reduce_only
    assert o.quantity == 10.0


def test_bracket_that_sells_has_a_trailing_stop_above_that_comes_down_with_the_price() -> None:
    # sold 10 at 10; the stop trails by 1: 11, at 8 it is at 9; the print at 9.5 buys back at 9.5: 10 x 0.5 = 5
    engine, heard = told(
        lambda ctx: ctx.bracket("A", Side.SELL, 10, trail=1.0), after(10.0, 8.0, 9.5), margin=MARGIN
    )
    assert [(f.side, f.last_px, f.realized) for f in heard if isinstance(f, Fill)] == [
        (Side.SELL, 10.0, 0.0),
        (Side.BUY, 9.5, 5.0),
    ]
    assert engine.live_orders() == []


def test_brackets_children_are_good_till_cancelled_whatever_the_parent_is() -> None:
    def place(ctx: Context, bar: Bar) -> list[tuple[Any, ...]]:
        if bar.start == 0:
            ctx.bracket(
                "A", Side.BUY, 2, limit=10.5, take_profit=20.0, trail_percent=0.5, tif=GTD, expires=LATER
            )
            ctx.bracket("A", Side.BUY, 2, tif=OPEN, stop_loss=1.0)
        return [
            (o.time_in_force, o.side, o.limit, o.stop, o.trail_percent, o.parent_id) for o in ctx.orders()
        ]

    assert at_each_bar(place)[0] == [
        (GTD, Side.BUY, 10.5, None, None, None),
        (GTC, Side.SELL, 20.0, None, None, 1),
        (GTC, Side.SELL, None, None, 0.5, 1),
        (OPEN, Side.BUY, None, None, None, None),
        (GTC, Side.SELL, None, 1.0, None, 4),
    ]


def test_pair_trades_once_what_one_fills_the_other_loses() -> None:
    ids: list[int] = []
    first = OrderTerms(Side.BUY, 4, limit=9.0, tag=1)
    second = OrderTerms(Side.BUY, 4, stop=11.0, tag=2)
    _, heard = told(lambda ctx: ids.extend(ctx.pair("A", first, second)), after(10.0, 11.5, 8.0))
    assert [(f.order_id, f.last_px, f.tag) for f in heard if isinstance(f, Fill)] == [(ids[1], 11.5, 2)]
    ended = [o for o in heard if isinstance(o, Order) and o.status == Status.CANCELED]
    assert [(o.order_id, o.code, o.tag) for o in ended] == [(ids[0], Code.OCO, 1)]


# -- amending -----------------------------------------------------------------------------------------------------


def test_amended_order_fills_on_its_new_terms() -> None:
    answers: list[bool] = []

    def act(ctx: Context) -> None:
        order_id = ctx.buy("A", 4, limit=8.0)
        answers.append(ctx.amend(order_id, quantity=6, limit=9.0))

    engine, heard = told(act, after(10.0, 8.5, 7.0))
    assert answers == [True]
    assert [(f.last_qty, f.last_px) for f in heard if isinstance(f, Fill)] == [(6.0, 8.5)]
    assert engine.live_orders() == []


def test_amended_stop_keeps_its_limit_and_quantity() -> None:
    def place(ctx: Context, bar: Bar) -> Any:
        if bar.start == 0:
            ctx.buy("A", 4, stop=20.0, limit=21.0)
            assert ctx.amend(1, stop=19.5)
        return [(o.type, o.stop, o.limit, o.quantity) for o in ctx.orders()]

    assert at_each_bar(place)[0] == [(STOP_LIMIT, 19.5, 21.0, 4.0)]


def test_amendment_that_the_gate_refuses_is_told_and_changes_nothing() -> None:
    answers: list[bool] = []

    def act(ctx: Context) -> None:
        answers.append(ctx.amend(ctx.buy("A", 4, limit=8.0), quantity=1000))  # 8000 of 100 that are there

    engine, heard = told(act, after(10.0), cash=100.0)
    assert answers == [False]
    assert [(o.status, o.code) for o in heard] == [(Status.NEW, Code.NONE), (Status.NEW, Code.CASH)]
    assert engine.state.orders[engine.live_orders()[0]].lots == 4


def test_order_of_an_operator_or_one_that_ended_is_not_amended() -> None:
    answers: list[bool] = []

    class Meddler(Strategy):
        def on_bar(self, ctx: Context, bar: Bar) -> None:
            own = ctx.buy("A", 1)
            ctx.cancel(own)
            answers.extend(ctx.amend(i, limit=6.0) for i in (1, own, 0, -1, 999))

    engine, _ = make_world(Meddler)
    engine.start()
    engine.process(make_ticks([(0, 10.0)]))
    theirs = engine.submit(engine.operator_slot("a", "A"), Side.BUY, 1, LIMIT, limit=5.0)
    assert theirs == 1
    engine.process(make_ticks([(MINUTE, 10.0)]))
    assert answers == [False] * 5
    assert engine.state.orders[engine.live_orders()[0]].limit == 5.0


# -- targets ------------------------------------------------------------------------------------------------------


def test_negative_target_of_a_margin_account_is_short_and_of_a_cash_account_denied() -> None:
    def aim(ctx: Context, bar: Bar) -> float:
        ctx.target("A", -30)
        return ctx.position()

    assert at_each_bar(aim, margin=MARGIN) == [0.0, -30.0, -30.0, -30.0]
    assert at_each_bar(aim) == [0.0] * 4


@pytest.mark.parametrize(
    ("fraction", "position"),
    [
        (1.5, 150.0),  # 1500 at 10
        (0.5, 50.0),
        (-0.5, -50.0),
        (-1.5, -150.0),
    ],
)
def test_fraction_of_a_margin_accounts_equity_goes_from_minus_leverage_to_leverage(
    fraction: float, position: float
) -> None:
    flat = [(10.0, 10.0, 10.0, 10.0)] * 3

    def aim(ctx: Context, bar: Bar) -> float:
        ctx.target_fraction("A", fraction)
        return ctx.position()

    assert at_each_bar(aim, flat, margin=MARGIN, cash=1000.0)[-1] == position


# -- what cannot be meant -----------------------------------------------------------------------------------------

PRICES = {"take_profit": 12.0, "stop_loss": 9.0}


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (
            lambda c: c.buy("A", 1, tif=GTD),
            "a GTD order needs the time until which it is good: give expires",
        ),
        (
            lambda c: c.buy("A", 1, tif=DAY, expires=LATER),
            "an order is DAY or has a time at which it expires, not both",
        ),
        (
            lambda c: c.buy("A", 1, expires=MINUTE),
            "expires at 60000000000 ns; it must be later than now, 1970-01-01T00:01:00Z",
        ),
        (
            lambda c: c.buy("A", 1, expires=datetime.fromisoformat("2030-01-01")),
            "expires at 2030-01-01 00:00:00 of no time zone; give it one, such as tzinfo=UTC",
        ),
        (
            lambda c: c.buy("A", 1, trail=1.0, stop=12.0),
            "a trailing stop takes its stop from the price: leave out limit and stop",
        ),
        (
            lambda c: c.buy("A", 1, trail=1.0, trail_percent=0.1),
            "a trailing stop has a trail or a trail_percent, not both",
        ),
        (
            lambda c: c.buy("A", 1, trail_percent=5.0),
            "a trail_percent of 5.0 for A; it is a share: 0.05 is 5 %",
        ),
        (lambda c: c.buy("A", 1, trail=0.0), "a trail of 0.0 for A; it is a positive amount of currency"),
        (
            lambda c: c.buy("A", 1, trail=math.nan),
            "a trail of nan for A; it is a positive amount of currency",
        ),
        (
            lambda c: c.buy("A", 1, stop=12.0, tif=OPEN),
            "an order AT_THE_OPEN is a market or a limit order: leave out stop and trail",
        ),
        (
            lambda c: c.buy("A", 1, trail=1.0, tif=CLOSE),
            "an order AT_THE_CLOSE is a market or a limit order: leave out stop and trail",
        ),
        *(
            (
                lambda c, terms=terms: c.buy("A", 1, post_only=True, **terms),
                "a post_only order waits at its limit: give limit, no stop or trail, and GTC, DAY or GTD as tif",
            )
            for terms in ({}, {"limit": 9.0, "stop": 8.0}, {"limit": 9.0, "tif": IOC}, {"limit": 9, "tif": CLOSE})
        ),
        (
            lambda c: c.bracket("A", Side.BUY, 1),
            "a bracket needs take_profit, stop_loss, trail or trail_percent, or two of them",
        ),
        (
            lambda c: c.bracket("A", Side.BUY, 1, stop_loss=9.0, trail=1.0),
            "the stop loss of a bracket is at stop_loss or trails the price, not both",
        ),
        (
            lambda c: c.bracket("A", Side.BUY, 1, take_profit=12.0, stop_loss_limit=9.0),
            "stop_loss_limit is the limit of the order at stop_loss: give that, too",
        ),
        (
            lambda c: c.bracket("A", Side.SELL, 1, **PRICES),
            "a bracket that sells, with stop_loss at 9.0 and take_profit at 12.0; take_profit must be below",
        ),
        (
            lambda c: c.bracket("A", Side.BUY, 1, limit=8.0, **PRICES),
            "a bracket that buys, with stop_loss at 9.0 and entry at 8.0; entry must be above",
        ),
        (
            lambda c: c.bracket("A", Side.BUY, 1, stop=12.0, **PRICES),
            "a bracket that buys, with entry at 12.0 and take_profit at 12.0; take_profit must be above",
        ),
        (lambda c: c.bracket("A", Side.BUY, 0, **PRICES), "a quantity of 0 A; it must be positive, the side says the rest"),
        (
            lambda c: c.pair("A", OrderTerms(Side.BUY, 1, limit=9.0), OrderTerms(Side.BUY, 2, stop=12.0)),
            "a pair of 1 and 2 A; both trade the same quantity",
        ),
        (
            lambda c: c.amend(c.buy("A", 1), limit=9.0),
            "order 1 is of type MARKET and has no limit to amend",
        ),
        (
            lambda c: c.amend(c.buy("A", 1, trail=1.0), stop=9.0),
            "order 1 is of type TRAILING_STOP and has no stop to amend",
        ),
        (
            lambda c: c.amend(c.buy("A", 1)),
            "order 1: nothing to amend; give quantity, limit or stop",
        ),
        (
            lambda c: c.amend(c.buy("A", 1), quantity=0),
            "order 1: a quantity of 0; to end it, cancel it",
        ),
        (
            lambda c: c.amend(c.buy("A", 1, limit=9.0), limit=-1.0),
            "a limit price of -1.0 for A; it must be positive",
        ),
        (
            lambda c: c.target_fraction("A", 2.1),
            "a fraction of 2.1 of equity; it goes from -2 to 2",
        ),
        (lambda c: c.target_fraction("A", math.nan), "a fraction of nan of equity; it goes from -2 to 2"),
    ],
)  # fmt: skip
def test_terms_that_cannot_be_meant_raise_and_say_what_to_do(
    question: Callable[[Context], Any], message: str
) -> None:
    assert asked(question, margin=MARGIN) == f"strategy 's': {message}"


def test_fraction_of_a_cash_account_is_not_negative() -> None:
    message = asked(lambda ctx: ctx.target_fraction("A", -0.5))
    assert message == "strategy 's': a fraction of -0.5 of equity; it goes from 0 to 1"


def test_order_with_a_time_can_be_placed_before_the_first_row_and_reaches_the_gate() -> None:
    class Early(Strategy):
        def on_start(self, ctx: Context) -> None:
            ctx.buy("A", 1, limit=9.0, expires=datetime(1970, 1, 2, tzinfo=UTC))

    engine, _ = make_world(Early)
    engine.start()
    events = engine.take_events()
    assert events.events["code"].tolist() == [Code.PRICE_MISSING]
    assert fills(events) == []
