"""A second, slow and exact reading of the events: whole numbers and fractions, none of the engine's functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from engine.engine import Engine, Events
from engine.ledger import MONEY_LIMIT
from engine.records import DAY, Code, EventKind, Side, Status
from engine.spec import EngineSpec, InstrumentSpec
from tests.properties.orderbook import Order, Orders

BY_ACTION = (Code.SPLIT, Code.DIVIDEND, Code.DELISTED)
BY_TIME = (Code.INTEREST, Code.BORROW)


@dataclass
class Slot:
    """A strategy's position in an instrument."""

    lots: int = 0
    cost: int = 0
    realized: int = 0
    fees: int = 0
    income: int = 0


def near(value: int, exact: Fraction) -> bool:
    """Whether a whole number is the exact one rounded, but for the noise of a few float64 operations before it."""
    return abs(value - exact) <= Fraction(1, 2) + abs(exact) / 2**50


def share(cost: int, lots: int, of: int, told: int) -> int:
    """The share of a cost (>= 0) that so many lots of all take, rounded down; `told`: what the engine says.

    Where the product does not fit int64 the engine takes a float's floor: then it may be off by two units, and is taken.
    """
    exact = cost * lots // of
    return told if (cost % of) * lots >= 9 * 10**18 and abs(told - exact) <= 2 else exact


@dataclass
class Books:
    """The ledger of a run, kept from its events alone; every event is checked as it is booked."""

    spec: EngineSpec
    cash: list[int] = field(default_factory=list)
    deposits: Counter[int] = field(default_factory=Counter)
    interest: Counter[int] = field(default_factory=Counter)
    slots: dict[tuple[int, int], Slot] = field(default_factory=dict)  # by strategy and instrument
    orders: Orders = field(default_factory=Orders)
    fills: list[dict[str, Any]] = field(default_factory=list)
    # during a split: slots with a fraction of a lot -> (its share of the cost times its parts, the parts)
    fractions: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    accrued: set[tuple[int, int, int]] = field(default_factory=set)
    ts: int | None = None

    def __post_init__(self) -> None:
        self.cash = [round(a.cash * self.spec.scale(a.currency)) for a in self.spec.accounts]

    def take(self, events: Events, prices: Sequence[float] | None = None) -> None:
        """Book a batch's events, one after the other; prices: the last before the batch, of one row."""
        for row in events.events:
            e = {name: row[name].item() for name in row.dtype.names}
            assert self.ts is None or e["ts"] >= self.ts, "time never goes back"
            self.ts = e["ts"]
            if e["kind"] == EventKind.CASH:
                self._cash(e, prices)
            elif e["kind"] == EventKind.ACTION:
                self._action(e)
            elif e["kind"] in (EventKind.ORDER, EventKind.FILL):
                order = self.orders.take(e)
                if e["kind"] == EventKind.FILL:
                    self._fill(order, e)
                else:
                    assert (e["last_lots"], e["last_notional"], e["last_fee"]) == (0, 0, 0)
                assert (e["cum_lots"], e["notional"], e["fees"]) == (order.cum, order.notional, order.fees)
                assert e["position"] == self.slot(e).lots
            if e["kind"] != EventKind.ACTION:
                assert e["cash"] == self.cash[e["account"]]

    def slot(self, e: dict[str, Any]) -> Slot:
        """The slot of an event."""
        return self.slots.setdefault((e["strategy"], e["instrument"]), Slot())

    def instrument(self, e: dict[str, Any]) -> InstrumentSpec:
        """The instrument of an event."""
        return self.spec.instruments[e["instrument"]]

    def exact(self, k: int, lots: int, price: float) -> Fraction:
        """What lots of instrument k are worth, in money units."""
        spec = self.spec.instruments[k]
        return Fraction(price) * lots * Fraction(str(spec.lot_size)) * self.spec.scale(spec.currency)

    # -- fills ----------------------------------------------------------------------------------------------------

    def _fill(self, order: Order, e: dict[str, Any]) -> None:
        self.fills.append(e)
        spec, slot, lots, side = self.instrument(e), self.slot(e), e["last_lots"], e["side"]
        scale = self.spec.scale(spec.currency)
        margin = self.spec.accounts[e["account"]].margin is not None

        # money: the notional and the fees of the whole order are rounded once each
        notional = e["last_notional"]
        assert near(notional, self.exact(e["instrument"], lots, e["last_px"]))
        order.notional += notional
        bps = Fraction(spec.maker_bps if e["maker"] else spec.taker_bps)
        order.exact_fee += (
            notional * bps / 10_000 + lots * Fraction(spec.lot_size) * Fraction(spec.fee_per_unit) * scale
        )
        fees = order.fees + e["last_fee"]
        least = round(spec.fee_min * scale)
        assert near(fees, order.exact_fee) or (fees == least and order.exact_fee < least + 1)
        order.fees = fees

        before = slot.lots
        realized = self._book(slot, side, lots, notional, e["realized"])
        assert e["realized"] == realized
        slot.fees += e["last_fee"]
        if e["reduce_only"]:
            assert before * side < 0, "it grows a position"
            assert slot.lots * side <= 0, "it flips a position"
        cash = self.cash[e["account"]]
        after = cash - side * notional - e["last_fee"]
        self.cash[e["account"]] = after
        if not margin:
            assert slot.lots >= 0, "a cash account is never short"
            # cash falls below zero in one way only: by a fee that is more than the sale brought
            assert after >= 0 if side == Side.BUY else after >= min(cash, cash + notional - e["last_fee"])

    @staticmethod
    def _book(slot: Slot, side: int, lots: int, notional: int, told: int) -> int:
        """Book lots bought or sold in a slot; the profit realised: what closes takes its share of the cost out."""
        held = abs(slot.lots)
        closing = min(lots, held) if slot.lots * side < 0 else 0
        part = notional * closing // lots  # of the notional; the rest opens the other way, or adds
        realized = 0
        if closing:
            cost = share(abs(slot.cost), closing, held, part + side * told)
            realized = -side * (part - cost)
            slot.cost += side * cost
        slot.cost += side * (notional - part)
        slot.lots += side * lots
        slot.realized += realized
        assert slot.lots or not slot.cost, "nothing is held, so it costs nothing"
        return realized

    # -- what is no fill ------------------------------------------------------------------------------------------

    def _action(self, e: dict[str, Any]) -> None:
        if e["code"] != Code.SPLIT:
            return
        ratio = Fraction(e["last_px"]).limit_denominator(10**6) / Fraction(e["stop"]).limit_denominator(10**6)
        k = e["instrument"]
        self.orders.split(k, ratio)
        for key, slot in self.slots.items():
            if key[1] != k:
                continue
            side = 1 if slot.lots > 0 else -1
            whole = abs(slot.lots) * ratio.numerator // ratio.denominator
            rest = abs(slot.lots) * ratio.numerator % ratio.denominator
            if rest:
                self.fractions[key] = (rest, abs(slot.lots) * ratio.numerator)
            slot.lots = side * whole

    def _cash(self, e: dict[str, Any], prices: Sequence[float] | None) -> None:
        amount, code, a = e["last_notional"], Code(e["code"]), e["account"]
        if e["status"] == Status.DENIED:
            assert code in (Code.WITHDRAWAL, Code.DEPOSIT, Code.OVERFLOW)
            return
        if code in BY_TIME:
            self._accrue(a, amount, code, e["ts"], prices)
        self.cash[a] += amount
        if code in BY_ACTION:
            self._paid_for_holding(e, amount, code)
        elif code in BY_TIME:
            self.interest[a] += amount
        else:
            assert code == (Code.DEPOSIT if amount >= 0 else Code.WITHDRAWAL)
            self.deposits[a] += amount
            if amount < 0 and self.spec.accounts[a].margin is None:
                assert self.cash[a] >= 0, "what is not there cannot be withdrawn"

    def _paid_for_holding(self, e: dict[str, Any], amount: int, code: Code) -> None:
        key, slot = (e["strategy"], e["instrument"]), self.slot(e)
        if code == Code.SPLIT:
            # without a fraction, too, a unit may be over: where the value before, or after, lay just between two units
            rest, parts = self.fractions.pop(key, (0, 1))
            if rest == 0:
                assert abs(amount) == 1
            side = 1 if slot.cost > 0 else -1
            told = side * (amount - e["realized"])
            cost = side * share(abs(slot.cost), rest, parts, told)
            slot.cost -= cost
            slot.realized += amount - cost
            assert e["realized"] == amount - cost
        elif code == Code.DIVIDEND:
            slot.income += amount
        else:
            side = -1 if slot.lots > 0 else 1
            assert side * amount <= 0
            assert e["realized"] == self._book(slot, side, abs(slot.lots), abs(amount), e["realized"])
        assert e["position"] == slot.lots

    def _accrue(self, a: int, amount: int, code: Code, ts: int, prices: Sequence[float] | None) -> None:
        """A day's interest or borrow fee: once, at midnight, on what is held."""
        key = (a, int(code), ts // DAY)
        assert ts % DAY == 0
        assert key not in self.accrued, "once a day"
        self.accrued.add(key)
        margin = self.spec.accounts[a].margin
        assert margin is not None
        if prices is None:
            return
        sold = [(k, -lots) for k, lots in self.held(a).items() if lots < 0]
        # what is worth more than is counted exactly counts as that much
        values = (min(self.exact(k, lots, prices[k]), Fraction(MONEY_LIMIT)) for k, lots in sold)
        shorts = sum(values, Fraction(0))
        if code == Code.BORROW:
            exact = -shorts * Fraction(margin.borrow_rate) / 365
        else:
            free = self.cash[a] - shorts
            exact = free * Fraction(margin.credit_rate if free > 0 else margin.debit_rate) / 365
        assert abs(amount - exact) <= 1 + abs(exact) / 2**50

    def held(self, a: int) -> Counter[int]:
        """An account's lots by instrument."""
        held: Counter[int] = Counter()
        for (strategy, k), slot in self.slots.items():
            if self.account_of(strategy) == a:
                held[k] += slot.lots
        return held

    def account_of(self, strategy: int) -> int:
        """The account of a strategy; the operators come last, one an account."""
        names = [account.name for account in self.spec.accounts]
        n = len(self.spec.strategies)
        return strategy - n if strategy >= n else names.index(self.spec.strategies[strategy].account)

    # -- the engine's own -----------------------------------------------------------------------------------------

    def agree_with(self, engine: Engine) -> None:
        """The engine's ledger and orders are what the events said, to the last unit."""
        s = engine.state
        assert not self.fractions, "a fraction of a lot was not paid for"
        self.orders.agree_with(engine)
        held: Counter[tuple[int, int]] = Counter()
        sums: Counter[tuple[int, str]] = Counter()
        for slot in s.slots:
            key = (int(slot.strategy), int(slot.instrument))
            theirs = Slot(*(int(slot[n]) for n in ("lots", "cost", "realized", "fees", "income")))
            assert theirs == self.slots.get(key, Slot()), key
            account = int(slot.account)
            held[account, key[1]] += theirs.lots
            for name in ("cost", "realized", "fees", "income"):
                sums[account, name] += int(slot[name])
        for h in s.holdings:
            assert int(h.lots) == held[int(h.account), int(h.instrument)]
        for a, account in enumerate(s.accounts):
            assert int(account.cash) == self.cash[a]
            assert int(account.cash) + sums[a, "cost"] == (
                int(account.initial) + int(account.realized) - int(account.fees) + int(account.income)
                + int(account.interest) + int(account.deposits)
            )  # fmt: skip
            for name in ("realized", "fees", "income"):
                assert int(account[name]) == sums[a, name]
            assert (int(account.interest), int(account.deposits)) == (self.interest[a], self.deposits[a])
            assert int(account.fills) == sum(f["account"] == a for f in self.fills)
