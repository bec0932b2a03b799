"""What a strategy sees through its context, and what it may ask of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from engine.records import SECOND
from engine.spec import InstrumentSpec
from strategies import (
    Bar,
    Context,
    ContextError,
    OrderType,
    Side,
    Status,
    Strategy,
    Tick,
    TimeInForce,
)
from tests.builders import MINUTE, join, make_bars, make_ticks, timer_at
from tests.unit.strategies.worlds import FOUR_BARS, asked, at_each_bar, make_world

# -- time, price, bars --------------------------------------------------------------------------------------------


def test_now_is_the_bars_end_and_time_the_same_as_a_datetime() -> None:
    seen = at_each_bar(lambda ctx, bar: (ctx.now, ctx.time))
    assert seen[1] == (2 * MINUTE, datetime(1970, 1, 1, 0, 2, tzinfo=UTC))


def test_there_is_no_time_and_no_price_in_on_start() -> None:
    errors = []

    class Early(Strategy):
        def on_start(self, ctx: Context) -> None:
            for question in (lambda: ctx.now, ctx.price):
                with pytest.raises(ContextError) as caught:
                    question()
                errors.append(str(caught.value))
            assert not ctx.ready()

    engine, _ = make_world(Early)
    engine.start()
    assert errors == [
        "strategy 's': there is no time before the first row",
        "strategy 's': A has no price yet; ask ctx.ready() first",
    ]


def test_price_is_the_last_one() -> None:
    assert at_each_bar(lambda ctx, bar: ctx.price()) == [11.0, 12.0, 13.0, 14.0]


def test_bars_are_the_last_n_newest_last_and_fewer_at_first() -> None:
    seen = at_each_bar(lambda ctx, bar: ctx.bars(3))
    assert [list(b["close"]) for b in seen] == [[11.0], [11.0, 12.0], [11.0, 12.0, 13.0], [12.0, 13.0, 14.0]]
    assert list(seen[3]["start"]) == [MINUTE, 2 * MINUTE, 3 * MINUTE]
    assert list(seen[3]["high"]) == [13.0, 14.0, 15.0]


def test_bars_follow_the_ring_around_its_end() -> None:
    # the engine keeps a power of two of bars: here 4, so that 3 bars lie across the ring's end at times
    bars = [(float(i), float(i), float(i), float(i)) for i in range(1, 30)]
    seen = at_each_bar(lambda ctx, bar: (bar.close, list(ctx.bars(3)["close"])), bars, history=3)
    for close, closes in seen[2:]:
        assert closes == [close - 2, close - 1, close]


def test_bars_are_a_copy_that_later_bars_do_not_change() -> None:
    seen = at_each_bar(lambda ctx, bar: ctx.bars(1), history=1)
    assert [float(b["close"][0]) for b in seen] == [11.0, 12.0, 13.0, 14.0]


def test_more_bars_than_the_history_are_refused() -> None:
    message = asked(lambda ctx: ctx.bars(6), history=5)
    assert message == "strategy 's': 6 bars asked for, 5 are kept; set `history` to the most you need"


# -- features -----------------------------------------------------------------------------------------------------


def test_feature_is_ready_with_its_window_and_equals_the_average_by_hand() -> None:
    seen = at_each_bar(
        lambda ctx, bar: ctx.feature("sma_3") if ctx.ready() else None, features=("close", "sma_3")
    )
    assert seen == [None, None, pytest.approx((11 + 12 + 13) / 3), pytest.approx((12 + 13 + 14) / 3)]


def test_feature_that_is_not_there_yet_raises_and_says_what_to_ask() -> None:
    message = asked(lambda ctx: ctx.feature("sma_3"), features=("sma_3",))
    assert message == "strategy 's': sma_3 of A is not there yet; ask ctx.ready() first"


def test_feature_that_was_not_declared_raises_with_those_that_were() -> None:
    message = asked(lambda ctx: ctx.feature("sma_9"), features=("sma_3", "close"))
    assert message == "strategy 's' has no feature 'sma_9'; its `features`: sma_3, close"


def test_features_of_series_and_account_equal_the_observation_that_the_engine_records_with_an_order() -> None:
    names = ("sma_2", "balance", "close", "holdings", "cash_share", "drawdown", "bars_held", "exposure")
    seen: list[Any] = []

    class Observer(Strategy):
        features = names

        def on_tick(
            self, ctx: Context, tick: Tick
        ) -> None:  # where equity can be above its peak at bar closes
            if ctx.ready():
                seen.append(ctx.features())
                ctx.buy("A", 100, limit=0.01 * round(99 * tick.price))

    bars = [(10.0 + i % 3, 13.0, 8.0, 10.0 + (i * 7) % 4 * 0.5) for i in range(12)]
    engine, _ = make_world(
        Observer, instruments=(InstrumentSpec("A", taker_bps=10, maker_bps=5),), cash=9_000.0
    )
    engine.start()
    events = engine.process(make_bars(bars))
    recorded = events.observations[events.events["observation"][events.events["observation"] >= 0]]
    assert len(seen) == 4 * 10
    assert engine.state.slots[0].lots > 0  # so that holdings, drawdown and bars held say something
    assert np.array_equal(np.array(seen), recorded)
    assert seen[-1].dtype == np.float64
    assert all(len(np.unique(np.array(seen)[:, k])) > 1 for k in range(len(names)))


# -- account and position -----------------------------------------------------------------------------------------


def test_account_and_position_after_a_fill_are_the_sums_by_hand() -> None:
    seen: list[Any] = []

    class Holder(Strategy):
        def on_bar(self, ctx: Context, bar: Bar) -> None:
            if bar.start == 0:
                ctx.buy("A", 0.3)
            else:
                a = ctx.account
                seen.append(
                    (ctx.position(), a.cash_micros, a.equity_micros, a.cash, a.equity, a.name, a.currency)
                )

    engine, _ = make_world(
        Holder, instruments=(InstrumentSpec("A", lot_size=0.1, taker_bps=100),), cash=100.0
    )
    engine.start()
    engine.process(make_ticks([(0, 10.0), (MINUTE, 20.0), (MINUTE + 1, 30.0), (2 * MINUTE, 30.0)]))
    # buys 0.3 at 20 = 6, fee of one per cent 0.06: cash 93.94; equity 93.94 + 0.3 * 30 = 102.94
    position, *amounts = seen[0]
    assert position == pytest.approx(0.3)
    assert amounts == [93_940_000, 102_940_000, 93.94, 102.94, "a", "USD"]


def test_equity_over_several_instruments_is_the_engines_own_at_the_bars_close() -> None:
    told = []

    class Both(Strategy):
        def on_bars(self, ctx: Context, bars: dict[str, Bar]) -> None:
            told.append((ctx.now, ctx.account.equity_micros))
            for name in bars:
                ctx.buy(name, 1.7)

    instruments = tuple(InstrumentSpec(n, lot_size=0.1, taker_bps=3.0) for n in ("A", "B"))
    engine, _ = make_world(Both, instruments=instruments)
    engine.start()
    rows = [(i * 20 * SECOND, 10.0 + (i * 37 % 11) / 7 + k, 1.0, k, 0) for i in range(60) for k in (0, 1)]
    events = engine.process(make_ticks(rows))
    assert len(told) > 10
    assert told == [(int(e["ts"]), int(e["equity"])) for e in events.equity]


# -- orders -------------------------------------------------------------------------------------------------------


def test_orders_are_the_strategys_working_ones_in_order_of_submission() -> None:
    def place(ctx: Context, bar: Bar) -> Any:
        if bar.start == 0:
            ctx.buy("A", 5, limit=5.0, tag=3)
            ctx.buy("A", 2, stop=99.0, tif=TimeInForce.DAY)
            ctx.submit("A", Side.BUY, 1, limit=4.0)
            assert ctx.cancel(1)
            assert not ctx.cancel(1)  # has ended
            assert not ctx.cancel(12345)
            ctx.buy("A", 1, limit=3.0)  # takes the place that the cancelled one left
        return [
            (o.order_id, o.type, o.limit, o.stop, o.time_in_force, o.tag, o.leaves_qty) for o in ctx.orders()
        ]

    seen = at_each_bar(place)
    assert seen[0] == [
        (2, OrderType.STOP, None, 99.0, TimeInForce.DAY, 0, 2.0),
        (3, OrderType.LIMIT, 4.0, None, TimeInForce.GTC, 0, 1.0),
        (4, OrderType.LIMIT, 3.0, None, TimeInForce.GTC, 0, 1.0),
    ]
    assert seen[3] == seen[0]


def test_orders_of_an_operator_in_the_same_account_are_neither_seen_nor_cancelled() -> None:
    class Meddler(Strategy):
        def on_bar(self, ctx: Context, bar: Bar) -> None:
            assert ctx.orders() == []
            assert not ctx.cancel(1)
            assert ctx.cancel_all() == 0

    engine, _ = make_world(Meddler)
    engine.start()
    engine.process(make_ticks([(0, 10.0)]))
    engine.submit(engine.operator_slot("a", "A"), Side.BUY, 1, OrderType.LIMIT, limit=5.0)
    engine.process(timer_at(MINUTE))
    assert len(engine.live_orders()) == 1


def test_cancel_all_takes_those_of_one_instrument_or_all() -> None:
    counts = []

    class Canceller(Strategy):
        def on_bars(self, ctx: Context, bars: dict[str, Bar]) -> None:
            for name in ctx.instruments:
                ctx.buy(name, 1, limit=5.0)
                ctx.buy(name, 1, limit=4.0)
            counts.append([len(ctx.orders()), len(ctx.orders("B"))])
            counts.append([ctx.cancel_all("B"), len(ctx.orders())])
            counts.append([ctx.cancel_all(), len(ctx.orders())])

    engine, _ = make_world(Canceller, instruments=(InstrumentSpec("A"), InstrumentSpec("B")))
    engine.start()
    engine.process(join(make_ticks([(0, 10.0, 1.0, 0, 0), (0, 10.0, 1.0, 1, 0)]), timer_at(MINUTE)))
    assert counts == [[4, 2], [2, 2], [2, 0]]


def test_target_trades_only_what_is_missing() -> None:
    def aim(ctx: Context, bar: Bar) -> float:
        position = ctx.position()
        ctx.target("A", 30 if bar.start < 2 * MINUTE else 10)
        return position

    assert at_each_bar(aim) == [0.0, 30.0, 30.0, 10.0]


def test_cancel_with_latency_is_pending_until_it_arrives() -> None:
    seen: list[list[object]] = []

    class Slow(Strategy):
        def on_bar(self, ctx: Context, bar: Bar) -> None:
            if bar.start == 0:
                ctx.buy("A", 1, limit=5.0)
            elif bar.start == MINUTE:
                seen.append([ctx.cancel(1), ctx.orders()[0].status, ctx.cancel(1)])
            else:
                seen.append([len(ctx.orders())])

    engine, _ = make_world(Slow, instruments=(InstrumentSpec("A", latency_ns=SECOND),))
    engine.start()
    engine.process(join(make_bars(FOUR_BARS[:3]), timer_at(3 * MINUTE)))
    assert seen == [[True, Status.PENDING_CANCEL, False], [0]]


TWO = (InstrumentSpec("A"), InstrumentSpec("B"))


@pytest.mark.parametrize(
    ("question", "world", "message"),
    [
        (lambda c: c.buy("Z", 1), {}, "strategy 's' does not trade 'Z'; it trades A"),
        (lambda c: c.position(["A"]), {}, "strategy 's' does not trade ['A']; it trades A"),
        (
            lambda c: c.position(),
            {"instruments": TWO},
            "strategy 's' trades several instruments: say which of A, B",
        ),
        (lambda c: c.buy("A", 1.5), {}, "strategy 's': A: 1.5 is no whole number of lots of 1.0"),
        (
            lambda c: c.buy("A", 0),
            {},
            "strategy 's': a quantity of 0 A; it must be positive, the side says the rest",
        ),
        (
            lambda c: c.sell("A", -5),
            {},
            "strategy 's': a quantity of -5 A; it must be positive, the side says the rest",
        ),
        (lambda c: c.buy("A", math.nan), {}, "strategy 's': a quantity of nan is no amount to trade"),
        (lambda c: c.target("A", math.inf), {}, "strategy 's': a quantity of inf is no amount to trade"),
        (lambda c: c.target("A", 1e300), {}, "strategy 's': a quantity of 1e+300 is no amount to trade"),
        (lambda c: c.target("A", 0.5), {}, "strategy 's': A: 0.5 is no whole number of lots of 1.0"),
        (
            lambda c: c.buy("A", 1, limit=0.0),
            {},
            "strategy 's': a limit price of 0.0 for A; it must be positive",
        ),
        (
            lambda c: c.buy("A", 1, stop=-1.0),
            {},
            "strategy 's': a stop price of -1.0 for A; it must be positive",
        ),
        (
            lambda c: c.buy("A", 1, limit=math.nan),
            {},
            "strategy 's': a limit price of nan for A; it must be positive",
        ),
        (
            lambda c: c.set_timer(1, c.now),
            {},
            "strategy 's': timer 1 at 60000000000 ns; it must be later than now, 1970-01-01T00:01:00Z",
        ),
        (
            lambda c: c.set_timer(1, c.now + 1, -1),
            {},
            "strategy 's': timer 1 every -1 ns; 0 means once",
        ),
    ],
)
def test_impossible_question_raises_with_the_strategys_name(
    question: Callable[[Context], Any], world: dict[str, Any], message: str
) -> None:
    assert asked(question, **world) == message
