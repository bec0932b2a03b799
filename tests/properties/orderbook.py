"""Orders as their events tell them, and what must hold of those that work."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from engine.engine import Engine
from engine.records import NEVER, NONE, Code, EventKind, Side, Status

# FIX 5.0, appendix D, cut down to the orders that exist here: None is the moment before the first event.
LIVE = (Status.NEW, Status.PARTIALLY_FILLED)
STEPS: dict[Status | None, tuple[Status, ...]] = {
    None: (Status.PENDING_NEW, Status.NEW, Status.DENIED, Status.REJECTED),
    # cancels and expiries may reach an order that is still on its way
    Status.PENDING_NEW: (Status.NEW, Status.REJECTED, Status.PENDING_CANCEL, Status.CANCELED, Status.EXPIRED),
    **dict.fromkeys(LIVE, (Status.PARTIALLY_FILLED, Status.FILLED, Status.PENDING_CANCEL, Status.CANCELED,
                           Status.EXPIRED)),
    Status.PENDING_CANCEL: (Status.PENDING_CANCEL, Status.FILLED, Status.CANCELED, Status.EXPIRED),
}  # fmt: skip
ENDED = (Status.FILLED, Status.CANCELED, Status.EXPIRED, Status.REJECTED, Status.DENIED)
FOREVER = (
    "order_seq", "submitted", "side", "type", "tif", "tag", "account", "strategy", "instrument", "parent",
    "trail_kind", "post_only", "reduce_only",
)  # fmt: skip


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
    filled: Fraction = Fraction(0)  # in today's shares, fractions of lots included
    told: bool = True  # since the last split

    @property
    def works(self) -> bool:
        return self.status not in ENDED


@dataclass
class Pair:
    """One cancels the other: what they may fill together, in today's lots."""

    ids: tuple[int, int]
    lots: Fraction
    linked: bool = True


@dataclass
class Orders:
    """All orders of a run, followed through their events and through splits."""

    by_id: dict[int, Order] = field(default_factory=dict)
    pairs: dict[tuple[int, int], Pair] = field(default_factory=dict)
    repeats: Counter[tuple[int, int]] = field(default_factory=Counter)  # status unchanged: by account, code

    def take(self, e: dict[str, Any]) -> Order:
        """Follow an order's event: one step of the table, of terms that may change only where they may."""
        status = Status(e["status"])
        order = self.by_id.get(e["order_id"])
        new = order is None
        if order is None:
            assert e["order_id"] == max(self.by_id, default=0) + 1
            order = self.by_id[e["order_id"]] = Order(e, lots=e["lots"])
        if order.status == status and e["kind"] == EventKind.ORDER:
            assert status not in ENDED, "an order that has ended is told of again"
            self.repeats[e["account"], e["code"]] += 1  # other terms, or an amend that was refused
        else:
            assert status in STEPS.get(order.status, ()), f"order {e['order_id']}: {order.status} -> {status}"
        order.status = status
        assert [e[n] for n in FOREVER] == [order.first[n] for n in FOREVER]
        if e["lots"] > order.lots and order.told:
            self._grown(e)
        if e["lots"] != order.lots:
            assert e["kind"] == EventKind.ORDER, "no fill changes the order's own lots"
        order.lots, order.told = e["lots"], True
        if e["kind"] == EventKind.FILL:
            self._fill(order, e)
        assert 0 <= order.cum <= order.lots or (new and status == Status.DENIED)
        if status == Status.FILLED:
            assert order.cum == order.lots
        elif order.cum == order.lots:
            assert e["code"] == Code.SPLIT or status == Status.DENIED, "it is filled"
        return order

    def _fill(self, order: Order, e: dict[str, Any]) -> None:
        assert e["last_lots"] > 0
        order.cum += e["last_lots"]
        order.filled += e["last_lots"]
        assert order.cum <= order.lots
        assert (order.cum == order.lots) == (order.status == Status.FILLED)
        if e["parent"]:
            assert order.filled <= self.by_id[e["parent"]].filled, "more than the parent released"
        for pair in self.pairs.values():
            if e["order_id"] in pair.ids:
                assert sum(self.by_id[i].filled for i in pair.ids) <= pair.lots, "a pair fills once"

    def _grown(self, e: dict[str, Any]) -> None:
        """An order's quantity grew, by an amend: of an order that is linked to others it must not."""
        assert not e["parent"], "a child is as large as its parent"
        for pair in self.pairs.values():
            if e["order_id"] in pair.ids:
                both = pair.linked and all(self.by_id[i].works for i in pair.ids)
                assert not both, "an order of a pair grew"
                pair.lots = Fraction(10**18)  # it stands alone now

    def split(self, k: int, ratio: Fraction) -> None:
        """An instrument's shares are multiplied; its working orders tell next how they stand."""
        for order in self.by_id.values():
            if order.first["instrument"] == k:
                order.filled *= ratio
                if order.works:
                    order.cum = order.cum * ratio.numerator // ratio.denominator
                    order.lots = max(order.lots * ratio.numerator // ratio.denominator, order.cum)
                    order.told = False
        for pair in self.pairs.values():
            if self.by_id[pair.ids[0]].first["instrument"] == k:
                pair.lots *= ratio

    def agree_with(self, engine: Engine) -> None:
        """The engine's orders are what the events said; what counts as working is what they have left."""
        s = engine.state
        assert int(s.clock[0].faults) == 0
        live = {int(s.orders[p].id): s.orders[p] for p in engine.live_orders()}
        assert sorted(live) == sorted(i for i, o in self.by_id.items() if o.works)
        working: Counter[tuple[str, int, int]] = Counter()
        reserved: Counter[int] = Counter()
        reducing: Counter[int] = Counter()
        for i, o in live.items():
            mine = self.by_id[i]
            assert (int(o.lots), int(o.cum_lots), Status(int(o.status))) == (mine.lots, mine.cum, mine.status)
            leaves = mine.lots - mine.cum
            assert leaves > 0
            assert 0 <= int(o.held_lots) <= leaves
            assert int(o.reserved) >= 0
            cash_account = s.accounts[o.account].leverage == 0.0
            assert int(o.reserved) == 0 or (o.side == Side.BUY and cash_account and not o.reduce_only)
            assert int(o.working) == self._works(s, o, leaves)
            name = "working_buy" if o.side == Side.BUY else "working_sell"
            slot = s.slots[o.slot]
            working[name, int(o.slot), -1] += int(o.working)
            working[name, int(slot.account), int(o.instrument)] += int(o.working)
            reserved[int(o.account)] += int(o.reserved)
            reducing[int(o.slot)] += int(o.reduce_only)
        self._see_pairs(s, live)
        for i, slot in enumerate(s.slots):
            assert int(slot.reducing) == reducing[i]
            for name in ("working_buy", "working_sell"):
                assert int(slot[name]) == working[name, i, -1]
            if s.accounts[slot.account].leverage == 0.0:
                assert slot.lots >= 0
        for h in s.holdings:
            for name in ("working_buy", "working_sell"):
                assert int(h[name]) == working[name, int(h.account), int(h.instrument)]
        n_codes = len(s.denied) // len(s.accounts)
        for a, account in enumerate(s.accounts):
            assert int(account.reserved) == reserved[a]
            mine_orders = [o for o in self.by_id.values() if o.first["account"] == a]
            assert int(account.orders) == len(mine_orders)
            denied = Counter(o.first["code"] for o in mine_orders if o.status == Status.DENIED)
            for c, n in enumerate(s.denied[a * n_codes : (a + 1) * n_codes]):
                assert denied[c] <= n <= denied[c] + self.repeats[a, c]

    @staticmethod
    def _works(s: Any, o: Any, leaves: int) -> int:
        """How many lots of an order count: none that only reduce, of a pair on one side one order's."""
        if o.reduce_only:
            return 0
        most = max(leaves, int(o.new_lots - o.cum_lots)) if o.amend_at != NEVER else leaves
        if o.partner != NONE:
            other = s.orders[o.partner]
            if other.side == o.side and not other.reduce_only:
                assert (o.working > 0) != (other.working > 0)
                return most if o.working > 0 else 0
        return most

    def _see_pairs(self, s: Any, live: dict[int, Any]) -> None:
        """Note the pairs that there are: both orders are working, and each knows the other."""
        linked = set()
        for i, o in live.items():
            if o.partner != NONE:
                other = s.orders[o.partner]
                ids = (min(i, int(other.id)), max(i, int(other.id)))
                assert int(other.id) in live
                assert int(s.orders[other.partner].id) == i
                assert (
                    o.lots - o.cum_lots == other.lots - other.cum_lots or o.reduce_only or other.reduce_only
                )
                linked.add(ids)
                if ids not in self.pairs:
                    self.pairs[ids] = Pair(ids, max(Fraction(self.by_id[n].lots) for n in ids))
        for ids, pair in self.pairs.items():
            pair.linked = ids in linked
