"""What a strategy sees of its account, against the engine's own sums, the gate's verdicts and sums by hand."""

from __future__ import annotations

from typing import Any

import pytest

from engine.records import DAY, SECOND, RowKind
from engine.spec import InstrumentSpec, MarginSpec
from strategies import Bar, Code, Context, Order, Side, Status, Strategy, Tick
from strategies.account import AccountView
from tests.builders import MINUTE, USD, make_ticks
from tests.unit.strategies.worlds import at_each_bar, make_world


@pytest.mark.parametrize(
    ("lot_size", "scale", "price", "most"),
    [
        (1e-8, 1_000_000, 97_531.37, 10**7),  # a lot at a price of 1 is a hundredth of a millionth
        (1e-8, 100_000_000, 97_531.37, 10**7),
        (1e-3, 1_000_000, 0.07, 10**7),
        (1.0, 100, 12_345.67, 100),
    ],
)
def test_equity_is_the_engines_own_to_the_unit_whatever_the_lots(
    lot_size: float, scale: int, price: float, most: int
) -> None:
    seen = []

    class Holder(Strategy):
        def on_bar(self, ctx: Context, bar: Bar) -> None:
            seen.append((ctx.now, ctx.account.equity_micros))
            lots = int(ctx.rng.integers(1, most))
            ctx.submit("A", Side(int(ctx.rng.choice([-1, 1]))), lots * lot_size)

    instrument = InstrumentSpec("A", lot_size=lot_size, taker_bps=3.0)
    engine, _ = make_world(
        Holder,
        instruments=(instrument,),
        margin=MarginSpec(leverage=100.0, maintenance=0.0),
        cash=1e7,
        scales={"USD": scale},
    )
    engine.start()
    rows = [(i * 20 * SECOND, price * (1 + (i * 37 % 11) / 70), 1.0) for i in range(150)]
    events = engine.process(make_ticks(rows))
    assert seen == [(int(e["ts"]), int(e["equity"])) for e in events.equity]
    assert len({equity for _, equity in seen}) > 40
    assert engine.state.accounts[0].fills > 40


def test_half_a_unit_of_money_is_rounded_as_the_ledger_does() -> None:
    # 57 lots of 1e-8 at 50 are 28.5 millionths, half to even: 28 are paid, and 28 they are worth
    flat = [(50.0, 50.0, 50.0, 50.0)] * 2

    def hold(ctx: Context, bar: Bar) -> tuple[int, int]:
        ctx.target("A", 57e-8)
        return ctx.account.cash_micros, ctx.account.equity_micros

    seen = at_each_bar(hold, flat, instruments=(InstrumentSpec("A", lot_size=1e-8),), cash=1.0)
    assert seen == [(USD, USD), (USD - 28, USD)]


def test_buying_power_is_what_the_gate_lets_pass_and_not_a_unit_more() -> None:
    passed: list[tuple[int, bool]] = []

    class Probing(Strategy):
        def on_bar(self, ctx: Context, bar: Bar) -> None:
            if bar.instrument == "B":
                return
            if bar.start == 0:  # short 30 of A, a buy of 20 B works: 300 + 20 x 7 of leverage 3 x 1000
                ctx.sell("A", 30)
                ctx.buy("B", 20, limit=7.0)
            elif bar.start == MINUTE:
                power = ctx.account.buying_power_micros
                assert power == 3 * 1000 * USD - 300 * USD - 20 * 7 * USD
                assert ctx.account.buying_power == 2560.0
                assert ctx.account.margin_used_micros == -(-440 * USD // 3)
                # more of A in the same direction: 2560 / 10 = 256
                for lots in (257, 256):
                    order_id = ctx.sell("A", lots, limit=10.0)
                    passed.append((lots, any(o.order_id == order_id for o in ctx.orders())))
                assert ctx.account.buying_power_micros == 0

    instruments = InstrumentSpec("A"), InstrumentSpec("B")
    engine, _ = make_world(
        Probing, instruments=instruments, cash=1000.0, margin=MarginSpec(3.0, maintenance=0.0)
    )
    engine.start()
    rows = [(t, price, 1.0, k, 0) for t in (0, MINUTE, 2 * MINUTE) for k, price in ((0, 10.0), (1, 7.0))]
    engine.process(make_ticks(rows))
    assert passed == [(257, False), (256, True)]


def test_buying_power_of_a_cash_account_is_what_no_order_has_set_aside() -> None:
    def look(ctx: Context, bar: Bar) -> Any:
        before = ctx.account.buying_power_micros
        order_id = ctx.buy("A", 30, limit=10.0)
        after = ctx.account.buying_power_micros
        ctx.cancel(order_id)
        return before, after, ctx.account.buying_power, ctx.account.margin_used, ctx.account.leverage

    seen = at_each_bar(look, cash=1000.0)
    assert seen[0] == (1000 * USD, 700 * USD, 1000.0, 0.0, None)


def test_buying_power_is_nothing_where_more_is_held_than_the_leverage_allows() -> None:
    seen: list[Any] = []

    class Losing(Strategy):
        def on_bar(self, ctx: Context, bar: Bar) -> None:
            if bar.start == 0:
                ctx.buy("A", 190)
            else:
                a = ctx.account
                seen.append((a.equity, a.buying_power_micros, a.margin_used_micros, a.leverage))

    engine, _ = make_world(Losing, cash=1000.0, margin=MarginSpec(2.0, maintenance=0.1))
    engine.start()
    # 190 at 10 of 1000: at 9 the equity is 810, twice that 1620, and 1710 is held
    engine.process(make_ticks([(0, 10.0), (MINUTE, 10.0), (MINUTE + 1, 9.0), (2 * MINUTE, 9.0)]))
    assert seen == [(810.0, 0, 855 * USD, 2.0)]


def test_interest_dividends_and_deposits_are_the_sums_by_hand() -> None:
    views: list[AccountView] = []

    class Borrower(Strategy):
        def on_tick(self, ctx: Context, tick: Tick) -> None:
            if not views:
                views.append(ctx.account)
                ctx.buy("A", 150)

    engine, _ = make_world(Borrower, cash=1000.0, margin=MarginSpec(2.0, debit_rate=0.0365))
    engine.start()
    half = DAY // 2
    engine.process(
        make_ticks(
            [
                (0, 10.0, 1.0, 0, RowKind.PRINT),
                (MINUTE, 10.0, 1.0, 0, RowKind.PRINT),  # 150 at 10: cash -500
                (half, 0.2, 0.0, 0, RowKind.DIVIDEND),  # 150 x 0.2 = 30: cash -470
                (half + 1, 100.0, 0.0, 0, RowKind.CASH),  # cash -370
                (half + 2, -5000.0, 0.0, 0, RowKind.CASH),  # not so much is free
                (half + 3, -20.0, 0.0, 0, RowKind.CASH),  # cash -390
                (DAY + 1, 9.8, 1.0, 0, RowKind.PRINT),  # a day's interest on 390 at 3.65 %: 0.039
            ]
        )
    )
    account = views[0]
    assert (account.income_micros, account.income) == (30 * USD, 30.0)
    assert (account.deposits_micros, account.deposits) == (80 * USD, 80.0)
    assert (account.interest_micros, account.interest) == (-39_000, -0.039)
    assert account.cash_micros == -390 * USD - 39_000
    assert account.equity_micros == account.cash_micros + 1470 * USD


def test_amounts_follow_a_restored_engine() -> None:
    views: list[AccountView] = []

    class Keeper(Strategy):
        def on_start(self, ctx: Context) -> None:
            views.append(ctx.account)

        def on_order(self, ctx: Context, order: Order) -> None:
            assert (order.status, order.code) == (Status.NEW, Code.NONE)

        def on_bar(self, ctx: Context, bar: Bar) -> None:
            ctx.buy("A", 10, limit=9.0)

        def state_dict(self) -> dict[str, Any]:
            return {}

    first, _ = make_world(Keeper, cash=1000.0)
    first.start()
    first.process(make_ticks([(0, 10.0), (MINUTE, 10.0)]))
    first.deposit("a", 7 * USD)
    second, _ = make_world(Keeper, cash=1000.0)
    second.start()
    second.restore(first.snapshot())
    before, restored = views
    assert before.buying_power == restored.buying_power == 1007.0 - 90.0
    assert before.deposits_micros == restored.deposits_micros == 7 * USD
