"""Splits: what they do to positions, cash, orders of every kind and bars; fractions of a share are paid in cash."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.build import worth
from engine.engine import Engine
from engine.records import (
    SECOND,
    Call,
    Code,
    EventKind,
    Side,
)
from engine.spec import MarginSpec
from tests.builders import order, timer_at
from tests.stories.accounts import (
    RATIOS,
    assert_books,
    cash_moves,
    equity,
    hold,
    opened,
    refused,
    resting,
    split,
    venue,
)
from tests.stories.desk import at, cash, closed_bars, code_of, dollars, own, row

BUY, SELL = Side.BUY, Side.SELL
MARGIN = MarginSpec(1000.0, 0.0)


def price(engine: Engine) -> float:
    return float(engine.state.instruments[0].price)


# -- positions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("new", "lots", "after"), [(2, 20, 50.0), (7, 70, 100.0 / 7), (2.5, 25, 40.0)])
def test_split_multiplies_the_position_and_divides_the_price(new: float, lots: int, after: float) -> None:
    engine = opened()
    hold(engine, 10)
    (event,) = split(engine, new)
    assert (event["kind"], event["code"], event["instrument"]) == (EventKind.ACTION, Code.SPLIT, 0)
    assert (event["last_px"], event["stop"]) == (new, 1.0)
    slot = engine.state.slots[0]
    assert (slot.lots, slot.cost, engine.state.holdings[0].lots) == (lots, dollars(1_000), lots)
    assert price(engine) == after
    assert (cash(engine), equity(engine)) == (dollars(9_000), dollars(10_000))
    order(engine, SELL, lots)
    row(engine, after)
    assert (slot.realized, cash(engine)) == (0, dollars(10_000))
    assert_books(engine)


def test_fraction_of_a_share_is_paid_in_cash_at_its_price() -> None:
    engine = opened(90.0)
    hold(engine, 11)  # 990
    events = split(engine, 3, 2)
    # 16.5 shares at 60: 16, and 30 for the half, which cost 990 x 0.5 / 16.5 = 30
    assert cash_moves(events) == [(Code.SPLIT, dollars(30))]
    slot = engine.state.slots[0]
    assert (slot.lots, slot.cost, slot.realized) == (16, dollars(960), 0)
    assert cash(engine) == dollars(10_000 - 990 + 30)
    assert equity(engine) == dollars(10_000)
    assert_books(engine)


def test_cash_for_a_fraction_realises_its_share_of_the_profit() -> None:
    engine = opened(60.0)
    hold(engine, 11)  # 660
    row(engine, 90.0)
    event = next(e for e in split(engine, 3, 2) if e["kind"] == EventKind.CASH)
    # the half costs 660 x 0.5 / 16.5 = 20 and brings 30
    assert (event["last_notional"], event["realized"], event["position"]) == (dollars(30), dollars(10), 16)
    assert (event["strategy"], event["instrument"], event["cash"]) == (0, 0, cash(engine))
    assert engine.state.slots[0].realized == engine.state.accounts[0].realized == dollars(10)
    assert_books(engine)


def test_reverse_split_leaves_whole_shares_and_pays_the_rest() -> None:
    engine = opened(5.0)
    hold(engine, 1_234)  # 6,170
    events = split(engine, 1, 10)
    assert price(engine) == 50.0
    # 123.4 shares: 0.4 x 50 = 20
    assert cash_moves(events) == [(Code.SPLIT, dollars(20))]
    slot = engine.state.slots[0]
    assert (slot.lots, slot.cost, cash(engine)) == (123, dollars(6_150), dollars(10_000 - 6_170 + 20))
    assert_books(engine)


def test_position_of_less_than_a_share_after_a_reverse_split_becomes_cash() -> None:
    engine = opened(5.0)
    hold(engine, 9)
    row(engine, 6.0)
    engine.process(timer_at(at(60)))
    assert engine.state.slots[0].bars_held == 1
    events = split(engine, 1, 10)
    assert cash_moves(events) == [(Code.SPLIT, dollars(54))]  # 0.9 x 60
    slot = engine.state.slots[0]
    assert (slot.lots, slot.cost, slot.realized, slot.bars_held) == (0, 0, dollars(9), 0)
    assert cash(engine) == dollars(10_009)
    order(engine, SELL, 1)
    assert code_of(engine) == Code.SHORT
    assert_books(engine)


@pytest.mark.parametrize(
    ("new", "old", "lots", "paid"),
    [(7, 1, -77, 0.0), (3, 2, -16, -30.0), (1, 10, -1, -90.0)],  # 16.5 at 60; 1.1 at 900
)
def test_short_position_owes_more_shares_and_pays_for_fractions(
    new: int, old: int, lots: int, paid: float
) -> None:
    engine = opened(90.0, margin=MarginSpec(2.0))
    hold(engine, -11)
    assert cash_moves(split(engine, new, old)) == ([(Code.SPLIT, dollars(paid))] if paid else [])
    assert (engine.state.slots[0].lots, equity(engine)) == (lots, dollars(10_000))
    assert engine.state.slots[0].realized == 0  # it was sold at 90
    assert_books(engine)


def test_strategies_of_one_account_are_paid_for_their_own_fractions() -> None:
    engine = opened(60.0, margin=MarginSpec(2.0), strategies=("s", "t", "u", "v"))
    for slot, lots in enumerate((11, 4, -3, 5)):
        hold(engine, lots, slot)
    events = split(engine, 3, 2)
    # at 40: 16.5, 6, -4.5 and 7.5; the account's 17 shares become 25.5
    paid = [(e["strategy"], e["last_notional"]) for e in events if e["kind"] == EventKind.CASH]
    assert paid == [(0, dollars(20)), (2, dollars(-20)), (3, dollars(20))]
    assert [slot.lots for slot in engine.state.slots[:4]] == [16, 6, -4, 7]
    assert (engine.state.holdings[0].lots, equity(engine)) == (25, dollars(10_000))
    assert_books(engine)


def test_operators_position_is_split_too() -> None:
    engine = opened()
    slot = engine.operator_slot("a", "A")
    hold(engine, 3, slot)
    split(engine, 2)
    assert engine.state.slots[slot].lots == 6
    assert_books(engine)


def test_split_leaves_other_instruments_alone() -> None:
    engine = opened(instruments=("A", "B"))
    row(engine, 50.0, instrument=1)
    own(engine, 10, slot=1)
    order(engine, BUY, 5, limit=40.0, slot=1)
    split(engine, 2)
    assert (engine.state.slots[1].lots, engine.state.instruments[1].price) == (10, 50.0)
    assert resting(engine) == [(2, 5, 40.0, 0.0)]


def told_equity(engine: Engine) -> int:
    """Money units, by float64: a price that is no decimal any more after a split has no other value."""
    held, instrument = engine.state.holdings[0], engine.state.instruments[0]
    return cash(engine) + round(worth(instrument, int(held.lots), float(instrument.price)))


@given(
    st.integers(1, 1_000_000),
    st.lists(st.integers(-50_000, 50_000).filter(bool), min_size=1, max_size=3),
    st.sampled_from(RATIOS),
)
@example(8_536_554, [40_000], (20, 1))
@example(1, [1], (1, 25))
@example(33, [1, -1, 1], (3, 2))
def test_split_leaves_equity_as_it_was_to_the_last_unit(
    cents: int, positions: list[int], ratio: tuple[float, float]
) -> None:
    engine = opened(cents / 100, cash=1e9, margin=MARGIN, strategies=("s", "t", "u"))
    for slot, lots in enumerate(positions):
        hold(engine, lots, slot)
    before = equity(engine)
    split(engine, *ratio)
    assert refused(engine) == 0
    assert told_equity(engine) == before
    new, old = round(ratio[0] * 1000), round(ratio[1] * 1000)
    for slot, lots in enumerate(positions):
        whole = abs(lots) * new // old
        assert engine.state.slots[slot].lots == (whole if lots > 0 else -whole)
    assert_books(engine)


@given(st.integers(1, 10**7), st.integers(1, 10**9), st.sampled_from(RATIOS), st.sampled_from([10**6, 10**8]))
@example(1298, 619_325, (3, 1), 10**8)
@example(465, 86_982_930, (3, 1), 10**8)
def test_split_of_fractional_lots_leaves_equity_as_it_was_to_the_last_unit(
    cents: int, lots: int, ratio: tuple[float, float], scale: int
) -> None:
    engine = opened(cents / 100, cash=8e7, margin=MARGIN, lot_size=1e-8, engine={"scales": {"USD": scale}})
    hold(engine, lots)
    before = told_equity(engine)
    split(engine, *ratio)
    assert told_equity(engine) == before
    assert_books(engine)


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (0.0, 1.0),
        (-2.0, 1.0),
        (2.0, 0.0),
        (float("nan"), 1.0),
        (float("inf"), 1.0),
        (2.0, float("inf")),
        (1e10, 1.0),
        (1.5, 1e-9),
    ],
)
def test_ratio_that_makes_no_sense_is_a_bad_row_and_changes_nothing(new: float, old: float) -> None:
    engine = opened()
    hold(engine, 10)
    order(engine, BUY, 5, limit=90.0)
    engine.take_events()
    assert not split(engine, new, old)
    assert refused(engine) == 1
    assert (engine.state.slots[0].lots, price(engine)) == (10, 100.0)
    assert resting(engine) == [(2, 5, 90.0, 0.0)]


def test_split_of_more_lots_than_are_exact_is_refused_and_changes_nothing() -> None:
    engine = opened(0.01, cash=8e9, tick_size=0.01, margin=MARGIN, lot_size=1e-8)
    hold(engine, 2**52)
    other = engine.state_hash()
    assert not split(engine, 3)  # 3 x 2^52 > 2^53
    assert (refused(engine), int(engine.state.slots[0].lots)) == (1, 2**52)
    assert engine.state_hash() != other  # the row is counted, and that is all
    split(engine, 1, 3)
    assert engine.state.slots[0].lots == 2**52 // 3
    assert_books(engine)


def test_split_of_an_order_with_more_lots_than_are_exact_is_refused() -> None:
    engine = opened(0.01, cash=8e9, margin=MARGIN, lot_size=1e-8)
    order(engine, BUY, 2**52, limit=0.01)
    engine.take_events()
    assert not split(engine, 3)
    assert (refused(engine), resting(engine)) == (1, [(1, 2**52, 0.01, 0.0)])


def test_split_of_an_order_whose_new_terms_do_not_fit_is_refused() -> None:
    engine = opened(1e-6, cash=8e9, tick_size=1e-6, latency_ns=100 * SECOND)
    order(engine, BUY, 1_000, limit=1e-6)
    row(engine, 2e-6, seconds=200)
    assert engine.amend(1, lots=8 * 10**15) == Code.NONE
    assert not split(engine, 1e5)
    assert (refused(engine), resting(engine)) == (1, [(1, 1_000, 1e-6, 0.0)])


# -- bars and actors --------------------------------------------------------------------------------------------------


def test_bar_in_progress_and_bars_kept_are_brought_to_new_shares() -> None:
    engine = venue(strategy={"history": 4})
    row(engine, 90.0, size=10.0, seconds=0)
    row(engine, 120.0, size=6.0, seconds=59)
    row(engine, 100.0, size=4.0, seconds=60)
    row(engine, 110.0, size=2.0, seconds=70)
    split(engine, 2)
    row(engine, 53.0, size=5.0, seconds=80)
    engine.process(timer_at(at(120)))
    assert closed_bars(engine) == [
        (0.0, 45.0, 60.0, 45.0, 60.0, 32.0, 2),
        (60.0, 50.0, 55.0, 50.0, 53.0, 17.0, 3),
    ]


def test_bar_that_opens_after_the_split_holds_only_what_came_after() -> None:
    engine = venue(strategy={"history": 4})
    row(engine, 90.0, size=10.0, seconds=0)
    engine.process(timer_at(at(60)))
    split(engine, 2)
    row(engine, 46.0, size=3.0, seconds=62)
    engine.process(timer_at(at(120)))
    assert closed_bars(engine)[1] == (60.0, 46.0, 46.0, 46.0, 46.0, 3.0, 1)


class Listener:
    """An actor that writes down what it is told, and what it then holds."""

    def __init__(self, wants: int) -> None:
        self.wants = wants
        self.heard: list[tuple[Any, ...]] = []

    def start(self, engine: Engine, strategy: int) -> None:
        self.engine = engine

    def action(self, event: int) -> None:
        e = self.engine.state.events[event]
        self.heard.append(
            (Code(e.code), float(e.last_px), float(e.stop), int(self.engine.state.slots[0].lots))
        )

    def fill(self, event: int) -> None: ...

    def order(self, event: int) -> None:
        e = self.engine.state.events[event]
        self.heard.append(("order", int(e.order_id), int(e.lots)))

    def bar(self, slot: int) -> None: ...

    def bars(self, _: int) -> None: ...

    def tick(self, slot: int) -> None: ...

    def timer(self, timer_id: int) -> None: ...

    def stop(self) -> None: ...

    def save(self) -> Any:
        return None

    def load(self, state: Any) -> None: ...


def test_actor_is_told_when_all_has_been_done() -> None:
    actor = Listener(32 + 16 + 64)  # ORDER, TIMER, ACTION
    engine = venue(strategy={"wants": actor.wants}, actors={"s": actor}, instruments=("A", "B"))
    engine.start()
    row(engine, 100.0)
    own(engine, 10)
    order(engine, BUY, 5, limit=90.0)
    actor.heard.clear()
    split(engine, 2)
    assert actor.heard == [(Code.SPLIT, 2.0, 1.0, 20), ("order", 2, 10)]


def test_actor_that_does_not_want_to_know_is_not_told() -> None:
    actor = Listener(16)
    engine = venue(strategy={"wants": actor.wants}, actors={"s": actor})
    engine.start()
    row(engine, 100.0)
    split(engine, 2)
    assert actor.heard == []
    assert Call.ACTION not in engine.state.calls["kind"][:1]


def test_actor_is_not_told_during_warm_up_but_prices_are_split_all_the_same() -> None:
    actor = Listener(64)
    engine = venue(strategy={"wants": actor.wants}, actors={"s": actor}, engine={"trade_from": 100 * SECOND})
    engine.start()
    row(engine, 100.0)
    (event,) = split(engine, 2)
    assert (event["code"], price(engine), actor.heard) == (Code.SPLIT, 50.0, [])
