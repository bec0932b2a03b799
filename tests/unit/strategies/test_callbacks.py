"""Which callback comes when, and with what."""

from __future__ import annotations

from typing import Any

import pytest

from engine.records import SECOND
from engine.spec import InstrumentSpec
from strategies import (
    Bar,
    Code,
    Context,
    Fill,
    Order,
    OrderType,
    RowKind,
    Side,
    Status,
    Strategy,
    StrategyError,
    Tick,
    TimeInForce,
)
from tests.builders import MINUTE, fills, join, make_bars, make_ticks, timer_at
from tests.unit.strategies.worlds import make_world


class Diary(Strategy):
    """Writes down every call."""

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.calls: list[tuple[Any, ...]] = []

    def names(self) -> list[str]:
        return [call[0] for call in self.calls]

    def on_start(self, ctx: Context) -> None:
        self.calls.append(("start",))

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        self.calls.append(("bar", ctx.now, bar))

    def on_bars(self, ctx: Context, bars: dict[str, Bar]) -> None:
        self.calls.append(("bars", ctx.now, bars))

    def on_tick(self, ctx: Context, tick: Tick) -> None:
        self.calls.append(("tick", ctx.now, tick))

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        self.calls.append(("fill", ctx.now, fill))

    def on_order(self, ctx: Context, order: Order) -> None:
        self.calls.append(("order", ctx.now, order))

    def on_timer(self, ctx: Context, timer_id: int) -> None:
        self.calls.append(("timer", ctx.now, timer_id))

    def on_stop(self, ctx: Context) -> None:
        self.calls.append(("stop",))


class BuyOnce(Diary):
    """Buys at the first bar's close, and sets a timer for the same moment."""

    def on_start(self, ctx: Context) -> None:
        super().on_start(ctx)
        ctx.set_timer(9, MINUTE)

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        super().on_bar(ctx, bar)
        if len(self.names()) - self.names().count("tick") == 2:  # start, and this
            ctx.buy("A", 100, tag=5)


def diary_of(actor: Any) -> Diary:
    assert isinstance(actor.strategy, Diary)
    return actor.strategy


def test_row_at_a_bars_end_closes_the_bar_then_fires_timers_then_fills_then_is_told_itself() -> None:
    engine, actor = make_world(BuyOnce)
    engine.start()
    engine.process(make_ticks([(0, 10.0, 3.0), (30 * SECOND, 11.0, 4.0), (MINUTE, 12.0, 5.0)]))
    engine.stop()
    diary = diary_of(actor)
    assert diary.names() == ["start", "tick", "tick", "bar", "order", "bars", "timer", "fill", "tick", "stop"]
    bar = Bar(0, MINUTE, 10.0, 11.0, 10.0, 11.0, 7.0, 2, "A")
    fill = Fill(
        ts_event=MINUTE,
        order_id=1,
        instrument="A",
        side=Side.BUY,
        last_qty=100.0,
        last_px=12.0,
        fee=0.0,
        realized=0.0,
        position=100.0,
        maker=False,
        status=Status.FILLED,
        quantity=100.0,
        cum_qty=100.0,
        leaves_qty=0.0,
        avg_px=12.0,
        tag=5,
    )
    order = Order(
        ts_event=MINUTE,
        order_id=1,
        instrument="A",
        side=Side.BUY,
        type=OrderType.MARKET,
        time_in_force=TimeInForce.GTC,
        status=Status.NEW,
        code=Code.NONE,
        quantity=100.0,
        cum_qty=0.0,
        leaves_qty=100.0,
        avg_px=0.0,
        limit=None,
        stop=None,
        fees=0.0,
        tag=5,
        submitted=MINUTE,
    )
    assert diary.calls[2] == (
        "tick",
        30 * SECOND,
        Tick(30 * SECOND, 30 * SECOND, "A", 11.0, 4.0, RowKind.PRINT),
    )
    assert diary.calls[3:8] == [
        ("bar", MINUTE, bar),
        ("order", MINUTE, order),
        ("bars", MINUTE, {"A": bar}),
        ("timer", MINUTE, 9),
        ("fill", MINUTE, fill),
    ]


def test_calls_are_the_same_whether_the_tape_comes_row_by_row_or_at_once() -> None:
    rows = [(i * 7 * SECOND, 10.0 + i % 5) for i in range(40)]
    at_once, actor_a = make_world(BuyOnce)
    at_once.start()
    at_once.process(make_ticks(rows))
    singly, actor_b = make_world(BuyOnce)
    singly.start()
    for row in rows:
        singly.process(make_ticks([row]))
    assert diary_of(actor_a).calls == diary_of(actor_b).calls
    assert at_once.state_hash() == singly.state_hash()


def test_bars_of_several_instruments_that_close_together_come_in_one_call_after_their_own() -> None:
    engine, actor = make_world(Diary, instruments=(InstrumentSpec("A"), InstrumentSpec("B")))
    engine.start()
    second = MINUTE + SECOND
    engine.process(
        make_ticks(
            [
                (0, 10.0, 1.0, 0, 0),
                (SECOND, 20.0, 2.0, 1, 0),
                (second, 11.0, 3.0, 0, 0),  # B has no row in the second minute
                (2 * MINUTE, 12.0, 1.0, 0, 0),
            ]
        )
    )
    a1 = Bar(0, MINUTE, 10.0, 10.0, 10.0, 10.0, 1.0, 1, "A")
    b1 = Bar(0, MINUTE, 20.0, 20.0, 20.0, 20.0, 2.0, 1, "B")
    a2 = Bar(MINUTE, 2 * MINUTE, 11.0, 11.0, 11.0, 11.0, 3.0, 1, "A")
    told = [call for call in diary_of(actor).calls if call[0] in ("bar", "bars")]
    assert told == [
        ("bar", MINUTE, a1),
        ("bar", MINUTE, b1),
        ("bars", MINUTE, {"A": a1, "B": b1}),
        ("bar", 2 * MINUTE, a2),
        ("bars", 2 * MINUTE, {"A": a2}),
    ]


def test_bar_path_rows_are_told_with_their_kinds() -> None:
    engine, actor = make_world(Diary)
    engine.start()
    engine.process(make_bars([(10.0, 12.0, 9.0, 11.0)]))
    ticks = [call[2] for call in diary_of(actor).calls if call[0] == "tick"]
    assert [(t.price, t.kind) for t in ticks] == [
        (10.0, RowKind.PRINT),
        (9.0, RowKind.EXTREME),
        (12.0, RowKind.EXTREME),
        (11.0, RowKind.CLOSE),
    ]


def test_nothing_but_start_is_called_while_history_warms_up() -> None:
    engine, actor = make_world(Diary, trade_from=3 * MINUTE)
    engine.start()
    engine.process(make_bars([(10.0, 10.0, 10.0, 10.0)] * 3))
    assert diary_of(actor).names() == ["start"]
    engine.process(timer_at(3 * MINUTE))
    assert diary_of(actor).names() == ["start", "bar", "bars"]


# -- timers -------------------------------------------------------------------------------------------------------


class Clock(Diary):
    def on_start(self, ctx: Context) -> None:
        ctx.set_timer(1, 10 * SECOND)
        ctx.set_timer(2, 20 * SECOND, every=15 * SECOND)
        ctx.set_timer(3, 5 * SECOND)
        ctx.cancel_timer(3)

    def on_timer(self, ctx: Context, timer_id: int) -> None:
        super().on_timer(ctx, timer_id)
        if ctx.now == 50 * SECOND:
            ctx.cancel_timer(2)
            ctx.set_timer(4, ctx.now + 1)


def timer_calls(actor: Any) -> list[tuple[int, int]]:
    return [(now // SECOND, timer_id) for kind, now, timer_id in diary_of(actor).calls if kind == "timer"]


def test_timers_fire_at_their_time_and_repeat_until_cancelled() -> None:
    engine, actor = make_world(Clock)
    engine.start()
    engine.process(make_ticks([(second * SECOND, 10.0) for second in range(90)]))
    assert timer_calls(actor) == [
        (10, 1),
        (20, 2),
        (35, 2),
        (50, 2),
        (50, 4),
    ]  # the last one nanosecond later


def test_timers_wait_for_the_end_of_the_warm_up_and_keep_their_rhythm() -> None:
    engine, actor = make_world(Clock, trade_from=40 * SECOND)
    engine.start()
    engine.process(make_ticks([(second * SECOND, 10.0) for second in range(90)]))
    assert timer_calls(actor) == [(40, 1), (50, 2), (50, 4)]


def test_timers_fire_between_rows_that_lie_far_apart() -> None:
    engine, actor = make_world(Clock)
    engine.start()
    engine.process(make_ticks([(0, 10.0), (40 * SECOND, 10.0)]))
    assert timer_calls(actor) == [(10, 1), (20, 2), (35, 2)]


# -- orders from every callback -----------------------------------------------------------------------------------


class Eager(Strategy):
    """Places one market order in the callback that its parameter names, when that is first called."""

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.placed: list[tuple[int, int]] = []  # (order id, engine time)

    class Params(Strategy.Params):
        where: str

    def place(self, ctx: Context, where: str) -> None:
        if where == self.params.where and not self.placed:
            self.placed.append((ctx.buy("A", 7), ctx.now))

    def on_start(self, ctx: Context) -> None:
        ctx.set_timer(1, MINUTE + SECOND)

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        if bar.start == 0:
            ctx.buy("A", 1)
        self.place(ctx, "on_bar")

    def on_bars(self, ctx: Context, bars: dict[str, Bar]) -> None:
        self.place(ctx, "on_bars")

    def on_tick(self, ctx: Context, tick: Tick) -> None:
        self.place(ctx, "on_tick")

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        self.place(ctx, "on_fill")

    def on_order(self, ctx: Context, order: Order) -> None:
        self.place(ctx, "on_order")

    def on_timer(self, ctx: Context, timer_id: int) -> None:
        self.place(ctx, "on_timer")


@pytest.mark.parametrize(
    ("where", "price"),
    [
        ("on_tick", 11.0),  # told of row 0 at 10, filled on row 1
        (
            "on_bar",
            13.0,
        ),  # the bar closes when row 3's time comes, before that row: the first print after the close
        ("on_order", 13.0),  # the order of on_bar is accepted at the same moment
        ("on_bars", 13.0),
        ("on_fill", 14.0),  # that order fills on row 3; an order placed then can fill on row 4 only
        ("on_timer", 15.0),  # between rows 4 and 5
    ],
)
def test_order_placed_in_any_callback_fills_on_a_later_row_than_it_was_decided_on(
    where: str, price: float
) -> None:
    engine, actor = make_world(Eager, {"where": where})
    times = [0, SECOND, 2 * SECOND, MINUTE, MINUTE + 1, MINUTE + 2 * SECOND, MINUTE + 3 * SECOND]
    engine.start()
    events = engine.process(make_ticks([(ts, 10.0 + i) for i, ts in enumerate(times)]))
    strategy = actor.strategy
    assert isinstance(strategy, Eager)
    assert len(strategy.placed) == 1
    order_id, _ = strategy.placed[0]
    assert [(side, lots, px) for i, side, lots, px in fills(events) if i == order_id] == [(1, 7, price)]
    mine = events.events[events.events["order_id"] == order_id]
    assert all(mine["order_seq"] <= mine["seq"])
    # however the tape is cut
    singly, _ = make_world(Eager, {"where": where})
    singly.start()
    for i, ts in enumerate(times):
        singly.process(make_ticks([(ts, 10.0 + i)]))
    assert singly.state_hash() == engine.state_hash()


def test_denied_order_is_told_with_its_code() -> None:
    class Greedy(Diary):
        def on_bar(self, ctx: Context, bar: Bar) -> None:
            ctx.buy("A", 1_000_000)

    engine, actor = make_world(Greedy, cash=100.0)
    engine.start()
    engine.process(join(make_bars([(10.0, 10.0, 10.0, 10.0)]), timer_at(MINUTE)))
    order = next(call[2] for call in diary_of(actor).calls if call[0] == "order")
    assert (order.status, order.code, order.leaves_qty) == (Status.DENIED, Code.CASH, 0.0)


def test_partial_fills_are_told_in_units_of_the_instrument_with_their_average() -> None:
    class Limit(Diary):
        def on_bar(self, ctx: Context, bar: Bar) -> None:
            if bar.start == 0:
                ctx.buy("A", 0.5, limit=20.0)

    instrument = InstrumentSpec("A", lot_size=0.1, participation=0.5, maker_bps=100.0, taker_bps=100.0)
    engine, actor = make_world(Limit, instruments=(instrument,))
    engine.start()
    engine.process(make_ticks([(0, 10.0, 1.0), (MINUTE, 10.0, 0.4), (MINUTE + 1, 20.0 - 1.0, 9.0)]))
    told = [call[2] for call in diary_of(actor).calls if call[0] == "fill"]
    # half of 0.4 at 10, then the other 0.3 at 19: (0.2 * 10 + 0.3 * 19) / 0.5 = 15.4; fees of one per cent
    assert [(f.last_qty, f.last_px, f.status) for f in told] == [
        (pytest.approx(0.2), 10.0, Status.PARTIALLY_FILLED),
        (pytest.approx(0.3), 19.0, Status.FILLED),
    ]
    assert [f.avg_px for f in told] == [pytest.approx(10.0), pytest.approx(15.4)]
    assert [f.fee for f in told] == [pytest.approx(0.02), pytest.approx(0.057)]
    assert [f.leaves_qty for f in told] == [pytest.approx(0.3), 0.0]
    assert told[1].position == pytest.approx(0.5)


# -- errors -------------------------------------------------------------------------------------------------------


def raising(name: str) -> type[Strategy]:
    def broken(self: Strategy, *args: Any) -> None:
        raise RuntimeError("oh")

    return type("Broken", (BuyOnce,), {name: broken})


@pytest.mark.parametrize(
    ("callback", "where"),
    [
        ("on_start", "on_start at before the first row:"),
        ("on_tick", "on_tick at 1970-01-01T00:00:00Z on A:"),
        ("on_bar", "on_bar at 1970-01-01T00:01:00Z on A:"),
        ("on_bars", "on_bars at 1970-01-01T00:01:00Z on A:"),
        ("on_order", "on_order at 1970-01-01T00:01:00Z on A:"),
        ("on_timer", "on_timer at 1970-01-01T00:01:00Z:"),
        ("on_fill", "on_fill at 1970-01-01T00:01:00.5Z on A:"),
        ("on_stop", "on_stop at 1970-01-01T00:01:00.5Z:"),
    ],
)
def test_exception_in_a_callback_says_which_where_and_when(callback: str, where: str) -> None:
    engine, _ = make_world(raising(callback))

    def run() -> None:
        engine.start()
        engine.process(make_ticks([(0, 10.0), (MINUTE + SECOND // 2, 10.0)]))
        engine.stop()

    with pytest.raises(StrategyError) as caught:
        run()
    assert str(caught.value) == f"strategy 's', {where} RuntimeError: oh"
    assert isinstance(caught.value.__cause__, RuntimeError)
