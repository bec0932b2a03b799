"""The book of chains and heaps fills what a scan of all orders fills, in the same order: against a model of ten rules."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.engine import Engine
from engine.records import EventKind, OrderType, RowKind, Side
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, MarginSpec, StrategySpec
from tests.builders import MINUTE, make_ticks
from tests.properties.structure import check_structure

Fill = tuple[int, int, int, int]  # row, order, lots, price in ticks


@dataclass
class Order:
    """An order whose prices are whole ticks; `side * price` is higher where it is worse for the owner."""

    id: int
    side: int
    type: OrderType
    lots: int
    limit: int = 0
    stop: int = 0
    trail: int = 0
    triggered: bool = False


@dataclass
class Scan:
    """Every order is looked at on every row, and every tick of a path is walked."""

    at_touch: bool
    share: float  # of a row's size; 0: no bound
    orders: list[Order]  # in order of arrival
    price: int | None = None

    def row(self, n: int, kind: RowKind, price: int, size: int) -> list[Fill]:
        """Match all orders against a row."""
        path = [price]
        if kind != RowKind.PRINT and self.price is not None:
            step = 1 if price >= self.price else -1
            path = list(range(self.price, price + step, step))
        room = int(self.share * size + 1e-9) if self.share else 10**9
        fills = []
        for order in list(self.orders):
            met = self._meet(order, path, kind)
            if met is not None and (lots := min(order.lots, room)) > 0:
                fills.append((n, order.id, lots, met))
                room -= lots
                order.lots -= lots
                if order.lots == 0:
                    self.orders.remove(order)
            if order.trail and not order.triggered:
                self.follow(order, price)
        self.price = price
        return fills

    def follow(self, order: Order, price: int) -> None:
        """A trailing stop comes no farther from the price than its distance, and never goes back."""
        stop = price + order.side * order.trail
        if not order.stop or (order.stop - stop) * order.side > 0:
            order.stop = stop

    def _meet(self, order: Order, path: list[int], kind: RowKind) -> int | None:
        if order.type >= OrderType.STOP and not order.triggered:
            reached = [i for i, p in enumerate(path) if (p - order.stop) * order.side >= 0]
            if not reached or not order.stop:
                return None
            order.triggered = True
            path = path[reached[0] :]
            if order.type != OrderType.STOP_LIMIT:
                return path[0]
            if (order.limit - path[0]) * order.side >= 0:
                return path[0]  # it takes what trades there
        elif order.type != OrderType.LIMIT and order.type != OrderType.STOP_LIMIT:
            return None if kind == RowKind.EXTREME else path[-1]
        for i, p in enumerate(path):
            inside = (order.limit - p) * order.side
            if inside > 0 or (inside == 0 and self.at_touch):
                return p if i == 0 else order.limit  # a path does not jump over the limit
        return None


def an_engine(at_touch: bool, share: float) -> Engine:
    return Engine(
        EngineSpec(
            (InstrumentSpec("A", tick_size=1.0, fill_at_touch=at_touch, participation=share),),
            (AccountSpec("a", 5e9, margin=MarginSpec(1000.0, 0.0)),),
            (StrategySpec("s", "a", ("A",), MINUTE),),
        )
    )


def compare(rng: random.Random, rows: int, orders_a_row: int, look: bool) -> int:
    """Play a random tape to both; how many fills there were."""
    at_touch, share = rng.random() < 0.5, rng.choice((0.0, 0.0, 0.3))
    engine, scan = an_engine(at_touch, share), Scan(at_touch, share, [])
    price, n_fills = 1_000, 0
    # a position that no sale can use up: an exit is bounded by the position, which this model does not know
    engine.process(make_ticks([(-2, float(price), 1.0)]))
    engine.submit(0, Side.BUY, 10**6)
    engine.process(make_ticks([(-1, float(price), 1e9)]))
    scan.price = price
    for n in range(rows):
        if n:
            for _ in range(rng.randrange(2 * orders_a_row)):
                _give(rng, engine, scan, price)
            for _ in range(rng.randrange(3)):
                _change(rng, engine, scan, price)
        kind = RowKind(rng.randrange(3))
        price = max(price + rng.choice((0, 0, 1, -1, 3, -3, 9, -9, 40, -40)), 500)
        size = rng.choice((0, 3, 10, 100))
        events = engine.process(make_ticks([(n, float(price), float(size), 0, kind)])).events
        fills = [
            (n, int(e["order_id"]), int(e["last_lots"]), round(float(e["last_px"])))
            for e in events
            if e["kind"] == EventKind.FILL
        ]
        assert fills == scan.row(n, kind, price, size)
        if look:
            check_structure(engine)
        live = {int(engine.state.orders[p].id): engine.state.orders[p] for p in engine.live_orders()}
        assert {i: int(o.lots - o.cum_lots) for i, o in live.items()} == {o.id: o.lots for o in scan.orders}
        n_fills += len(fills)
    return n_fills


def _give(rng: random.Random, engine: Engine, scan: Scan, price: int) -> None:
    side, type_, lots = rng.choice((Side.BUY, Side.SELL)), OrderType(rng.randrange(5)), rng.randint(1, 9)
    order = Order(0, side, type_, lots)
    reach = rng.choice((2, 5, 30, 200))
    if type_ in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        order.limit = price + rng.randint(-reach, reach)
    if type_ in (OrderType.STOP, OrderType.STOP_LIMIT):
        order.stop = price + rng.randint(-reach, reach)
    if type_ == OrderType.TRAILING_STOP:
        order.trail = rng.randint(1, reach)
        scan.follow(order, price)
    order.id = engine.submit(
        0, side, lots, type_, limit=float(order.limit), trail=float(order.trail),
        stop=0.0 if order.trail else float(order.stop),
    )  # fmt: skip
    scan.orders.append(order)


def _change(rng: random.Random, engine: Engine, scan: Scan, price: int) -> None:
    """Cancel an order, or amend it: with other prices or more lots it goes to the end of the queue."""
    if not scan.orders:
        return
    order = rng.choice(scan.orders)
    what = rng.randrange(4)
    if what == 0:
        assert engine.cancel(order.id)
        scan.orders.remove(order)
        return
    was = order.limit, order.stop, order.lots
    place = next(p for p in engine.live_orders() if engine.state.orders[p].id == order.id)
    if what == 1:
        order.lots = rng.randint(1, 12)
        assert engine.amend(order.id, order.lots + int(engine.state.orders[place].cum_lots)) == 0
    elif what == 2 and order.limit:
        order.limit = price + rng.randint(-9, 9)
        assert engine.amend(order.id, limit=float(order.limit)) == 0
    elif order.stop and not order.trail and not order.triggered:
        order.stop = price + rng.randint(-9, 9)
        assert engine.amend(order.id, stop=float(order.stop)) == 0
    if (order.limit, order.stop) != was[:2] or order.lots > was[2]:
        scan.orders.remove(order)
        scan.orders.append(order)


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_book_of_a_few_orders_fills_what_a_scan_of_all_fills_in_order_of_arrival(rng: random.Random) -> None:
    compare(rng, rows=25, orders_a_row=2, look=True)


@pytest.mark.parametrize("seed", range(6))
def test_book_of_many_orders_fills_what_a_scan_of_all_fills_in_order_of_arrival(seed: int) -> None:
    assert compare(random.Random(seed), rows=300, orders_a_row=6, look=False) > 300
