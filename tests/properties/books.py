"""A second, slow and exact reading of the events: whole numbers and fractions, none of the engine's functions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from engine.engine import Engine, Events
from engine.records import (
    DAY,
    NONE,
    EventKind,
    OrderType,
    RowKind,
    Side,
    Status,
    Ticks,
    TimeInForce,
)
from engine.spec import EngineSpec, InstrumentSpec

# FIX 5.0, appendix D, cut down to the orders that exist here: None is the moment before the first event.
LIVE = (Status.NEW, Status.PARTIALLY_FILLED)
STEPS: dict[Status | None, tuple[Status, ...]] = {
    None: (Status.PENDING_NEW, Status.NEW, Status.DENIED),
    # cancels and expiries may reach an order that is still on its way
    Status.PENDING_NEW: (Status.NEW, Status.PENDING_CANCEL, Status.CANCELED, Status.EXPIRED),
    **dict.fromkeys(LIVE, (Status.PARTIALLY_FILLED, Status.FILLED, Status.PENDING_CANCEL, Status.CANCELED,
                           Status.EXPIRED)),
    Status.PENDING_CANCEL: (Status.PENDING_CANCEL, Status.FILLED, Status.CANCELED, Status.EXPIRED),
}  # fmt: skip
ENDED = (Status.FILLED, Status.CANCELED, Status.EXPIRED, Status.REJECTED, Status.DENIED)


@dataclass
class Slot:
    """A strategy's position in an instrument."""

    lots: int = 0
    cost: int = 0
    realized: int = 0
    fees: int = 0


@dataclass
class Order:
    """An order as its events tell it."""

    first: dict[str, Any]
    status: Status | None = None
    lots: int = 0
    cum: int = 0
    notional: int = 0
    fees: int = 0
    exact_fee: Fraction = Fraction(0)

    @property
    def works(self) -> bool:
        return self.status not in ENDED


def near(value: int, exact: Fraction) -> bool:
    """Whether a whole number is the exact one rounded, but for the noise of a few float64 operations before it."""
    return abs(value - exact) <= Fraction(1, 2) + abs(exact) / 2**50


@dataclass
class Books:
    """The ledger of a run, kept from its events alone; every event is checked as it is booked."""

    spec: EngineSpec
    cash: list[int] = field(default_factory=list)
    slots: dict[tuple[int, int], Slot] = field(default_factory=dict)  # by strategy and instrument
    orders: dict[int, Order] = field(default_factory=dict)
    fills: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cash = [round(a.cash * self.spec.scale(a.currency)) for a in self.spec.accounts]

    def take(self, events: Events) -> None:
        """Book a batch's events, one after the other."""
        for row in events.events:
            e = {name: row[name].item() for name in row.dtype.names}
            if e["kind"] == EventKind.STATE:
                assert e["cash"] == self.cash[e["account"]]
                continue
            order = self._step(e)
            if e["kind"] == EventKind.FILL:
                self._fill(order, e)
            else:
                assert (e["last_lots"], e["last_notional"], e["last_fee"]) == (0, 0, 0)
            assert (e["cum_lots"], e["notional"], e["fees"]) == (order.cum, order.notional, order.fees)
            assert e["cash"] == self.cash[e["account"]]
            assert e["position"] == self.slot(e).lots

    def slot(self, e: dict[str, Any]) -> Slot:
        """The slot of an event."""
        return self.slots.setdefault((e["strategy"], e["instrument"]), Slot())

    def instrument(self, e: dict[str, Any]) -> InstrumentSpec:
        """The instrument of an event."""
        return self.spec.instruments[e["instrument"]]

    def _step(self, e: dict[str, Any]) -> Order:
        status = Status(e["status"])
        order = self.orders.get(e["order_id"])
        if order is None:
            assert e["order_id"] == max(self.orders, default=0) + 1
            order = self.orders[e["order_id"]] = Order(e, lots=e["lots"])
        assert status in STEPS.get(order.status, ()), f"order {e['order_id']}: {order.status} -> {status}"
        order.status = status
        same = ("order_seq", "submitted", "lots", "limit", "stop", "side", "type", "tif", "tag", "account",
                "strategy", "instrument")  # fmt: skip
        assert [e[n] for n in same] == [order.first[n] for n in same]
        return order

    def _fill(self, order: Order, e: dict[str, Any]) -> None:
        self.fills.append(e)
        spec, slot, lots, side = self.instrument(e), self.slot(e), e["last_lots"], e["side"]
        scale = self.spec.scale(spec.currency)
        assert lots > 0
        order.cum += lots
        assert order.cum <= order.lots
        assert (order.cum == order.lots) == (order.status == Status.FILLED)

        # money: the notional and the fees of the whole order are rounded once each
        notional = e["last_notional"]
        assert near(notional, Fraction(e["last_px"]) * lots * Fraction(spec.lot_size) * scale)
        order.notional += notional
        bps = Fraction(spec.maker_bps if e["maker"] else spec.taker_bps)
        order.exact_fee += (
            notional * bps / 10_000 + lots * Fraction(spec.lot_size) * Fraction(spec.fee_per_unit) * scale
        )
        fees = order.fees + e["last_fee"]
        least = round(spec.fee_min * scale)
        assert near(fees, order.exact_fee) or (fees == least and order.exact_fee < least + 1)
        order.fees = fees

        # what is sold takes its share of the cost out, rounded down; the last lot takes the rest
        realized = 0
        if side == Side.SELL:
            cost = slot.cost * lots // slot.lots
            realized = notional - cost
            slot.cost -= cost
        else:
            slot.cost += notional
        slot.lots += side * lots
        slot.realized += realized
        slot.fees += e["last_fee"]
        assert slot.lots >= 0, "a cash account is never short"
        assert e["realized"] == realized

        before = self.cash[e["account"]]
        after = before - side * notional - e["last_fee"]
        self.cash[e["account"]] = after
        # cash falls below zero in one way only: by a fee that is more than the sale brought
        assert after >= 0 if side == Side.BUY else after >= min(before, before + notional - e["last_fee"])

    def agree_with(self, engine: Engine) -> None:
        """The engine's state is what the events said, to the last unit."""
        s = engine.state
        assert int(s.clock[0].faults) == 0
        live = [s.orders[place] for place in engine.live_orders()]
        assert sorted(int(o.id) for o in live) == sorted(i for i, o in self.orders.items() if o.works)
        leaves: Counter[tuple[int, int]] = Counter()
        reserved: Counter[int] = Counter()
        for o in live:
            mine = self.orders[int(o.id)]
            assert (int(o.cum_lots), Status(int(o.status))) == (mine.cum, mine.status)
            assert int(o.reserved) >= 0
            assert int(o.reserved) == 0 or o.side == Side.BUY
            leaves[int(o.slot), int(o.side)] += mine.lots - mine.cum
            reserved[int(o.account)] += int(o.reserved)
        held: Counter[tuple[int, int]] = Counter()
        working: Counter[tuple[int, int, int]] = Counter()
        sums: Counter[tuple[int, str]] = Counter()
        for i, slot in enumerate(s.slots):
            key = (int(slot.strategy), int(slot.instrument))
            mine_ = self.slots.get(key, Slot())
            theirs = Slot(*(int(slot[n]) for n in ("lots", "cost", "realized", "fees")))
            assert theirs == mine_, key
            assert (int(slot.working_buy), int(slot.working_sell)) == (leaves[i, 1], leaves[i, -1])
            assert int(slot.working_sell) <= theirs.lots, "what is for sale is there"
            account = int(slot.account)
            held[account, key[1]] += theirs.lots
            working[account, key[1], 1] += leaves[i, 1]
            working[account, key[1], -1] += leaves[i, -1]
            for name in ("cost", "realized", "fees"):
                sums[account, name] += int(slot[name])
        for h in s.holdings:
            key = (int(h.account), int(h.instrument))
            assert int(h.lots) == held[key]
            assert (int(h.working_buy), int(h.working_sell)) == (working[*key, 1], working[*key, -1])
        for a, account in enumerate(s.accounts):
            assert int(account.cash) == self.cash[a]
            assert int(account.cash) + sums[a, "cost"] == (
                int(account.initial) + int(account.realized) - int(account.fees)
            )
            assert (int(account.realized), int(account.fees)) == (sums[a, "realized"], sums[a, "fees"])
            assert int(account.reserved) == reserved[a]
            mine_orders = [o for o in self.orders.values() if o.first["account"] == a]
            assert int(account.orders) == len(mine_orders)
            assert int(account.fills) == sum(f["account"] == a for f in self.fills)
            denied = Counter(o.first["code"] for o in mine_orders if o.status == Status.DENIED)
            n_codes = len(s.denied) // len(s.accounts)
            assert {c: int(n) for c, n in enumerate(s.denied[a * n_codes : (a + 1) * n_codes]) if n} == denied


def check_fills(books: Books, tape: Ticks, after_fill: set[int]) -> None:
    """Each fill happened on a row that may fill it, after its order was decided, at a price that the rules allow."""
    taken: Counter[tuple[int, int]] = Counter()
    for e in books.fills:
        spec, order = books.instrument(e), books.orders[e["order_id"]].first
        row, px, side = e["seq"], e["last_px"], e["side"]
        assert row >= e["order_seq"] + (e["order_id"] in after_fill)
        assert e["ts"] >= e["submitted"] + spec.latency_ns
        assert tape.instrument[row] == e["instrument"]
        assert tape.ts_recv[row] <= e["ts"]
        kind = RowKind(tape.flags[row] & 15)
        price = float(tape.price[row])
        before = _price_before(tape, row, e["instrument"])
        assert kind != RowKind.TIMER
        if e["type"] == OrderType.MARKET:
            assert kind != RowKind.EXTREME
            assert px == price if not spec.slippage_value else (px - price) * side >= 0
        elif e["type"] == OrderType.LIMIT:
            assert (e["limit"] - px) * side >= 0, "never worse than the limit"
            if kind == RowKind.PRINT or before is None:
                assert px == price
            else:
                assert min(before, price) <= px <= max(before, price)
            if not spec.fill_at_touch:
                assert px != price or price != e["limit"]
        elif spec.participation == 0.0:  # else the rest of a triggered stop works on as a market order
            assert (px - e["stop"]) * side >= 0, "a stop costs at least its price"
        if e["tif"] == TimeInForce.IOC:
            assert e["cum_lots"] == e["last_lots"], "one row fills it, or none"
        if e["tif"] == TimeInForce.DAY:
            days = {
                (f["ts"] - spec.day_offset_ns) // DAY for f in books.fills if f["order_id"] == e["order_id"]
            }
            assert len(days) == 1
        if spec.participation > 0.0:
            taken[row, e["account"]] += e["last_lots"]
            bound = spec.participation * float(tape.size[row]) / spec.lot_size
            assert taken[row, e["account"]] <= np.floor(bound * (1 + 1e-12))
        assert order["observation"] == NONE or order["order_id"] == e["order_id"]


def _price_before(tape: Ticks, row: int, instrument: int) -> float | None:
    """The instrument's price before the row, on a tape whose every row counts."""
    for i in range(row - 1, -1, -1):
        good = tape.instrument[i] == instrument and (tape.flags[i] & 15) != RowKind.TIMER
        if good and 0 < tape.price[i] < np.inf and 0 <= tape.size[i] < np.inf:
            return float(tape.price[i])
    return None
