"""What an engine is made of, as plain frozen data: the shell builds it from a configuration.

Every check here is one that the engine itself relies on; a message names the thing it is about. The shell adds file,
line and field.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from math import inf
from typing import Any

import numpy as np

from engine.ledger import MONEY_LIMIT
from engine.models import ACTIONS, Model, Network, QTable
from engine.policies import POLICY_FEATURES, Policy
from engine.records import NO_TIME, BarKind, SizeKind, Slippage
from engine.spec_risk import (
    NO_LIMITS,
    GradingSpec,
    LimitSpec,
    RiskLimits,
    RiskSpec,
    ShockSpec,
    WindowSpec,
    findings,
)

__all__ = [
    "AccountSpec",
    "EngineSpec",
    "GradingSpec",
    "InstrumentSpec",
    "LimitSpec",
    "LimitsSpec",
    "MarginSpec",
    "RiskLimits",
    "RiskSpec",
    "Sessions",
    "ShockSpec",
    "SpecError",
    "StrategySpec",
    "WindowSpec",
    "accrues",
]


class SpecError(ValueError):
    """The parts of a specification do not fit together."""


@dataclass(frozen=True, eq=False)
class Sessions:
    """When a calendar is open: (n,) int64 ns UTC each, [opens, closes), ascending and disjoint."""

    opens: np.ndarray[Any, Any]
    closes: np.ndarray[Any, Any]

    def __repr__(self) -> str:
        """Say which they are, for the hash of a specification: by their content."""
        digest = hashlib.blake2b(self.opens.tobytes() + self.closes.tobytes(), digest_size=16)
        return f"Sessions({digest.hexdigest()})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sessions) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


@dataclass(frozen=True)
class InstrumentSpec:
    """An instrument and how orders in it are executed. Prices in currency per unit, quantities in units."""

    name: str
    tick_size: float = 0.01
    lot_size: float = 1.0
    currency: str = "USD"
    taker_bps: float = 0.0
    maker_bps: float = 0.0
    fee_per_unit: float = 0.0
    fee_min: float = 0.0  # per order, in currency
    min_lots: int = 1
    max_lots: int = MONEY_LIMIT
    latency_ns: int = 0
    slippage: Slippage = Slippage.NONE
    slippage_value: float = 0.0  # bps or ticks
    participation: float = 0.0  # 0: no bound
    fill_at_touch: bool = False
    day_offset_ns: int = 0  # a day without a calendar begins this long after midnight UTC
    calendar: str = ""  # a key of the engine's calendars; "": it trades around the clock
    symbols: tuple[str, ...] = ()  # what it is called after each change of its symbol


@dataclass(frozen=True)
class LimitsSpec:
    """The gate's limits for one account; 0 switches a limit off."""

    max_order_notional: float = 0.0  # currency
    max_position: float = 0.0  # units of any one instrument
    max_gross: float = 0.0  # shares of equity
    max_net: float = 0.0
    max_concentration: float = 0.0
    collar: float = 0.0  # relative distance of an order's price from the last price
    max_stale_ns: int = 0
    rate_orders: int = 0  # at most so many orders
    rate_window_ns: int = 0  # in any window of this length
    resize: bool = False  # cut an order to the largest size that passes, instead of denying it
    risk: RiskLimits = NO_LIMITS


@dataclass(frozen=True)
class MarginSpec:
    """What a margin account may owe. Rates are shares a year of 365 days."""

    leverage: float = (
        1.0  # gross exposure over equity that orders may reach; 1 / leverage is the initial margin
    )
    maintenance: float = 0.25  # equity over gross exposure below which the account is liquidated
    borrow_rate: float = 0.0  # of what is sold short, at its price
    debit_rate: float = 0.0  # of what is owed
    credit_rate: float = 0.0  # paid on cash that is free


@dataclass(frozen=True)
class AccountSpec:
    """A cash account, or with `margin` a margin account. `cash` in currency."""

    name: str
    cash: float
    currency: str = "USD"
    limits: LimitsSpec = LimitsSpec()
    margin: MarginSpec | None = None


def accrues(account: AccountSpec) -> bool:
    """Whether interest or borrow fees accrue on the account."""
    margin = account.margin
    return margin is not None and max(margin.borrow_rate, margin.debit_rate, margin.credit_rate) > 0


@dataclass(frozen=True)
class StrategySpec:
    """A strategy in an account: a compiled policy, or an actor that is asked in Python."""

    name: str
    account: str
    instruments: tuple[str, ...]
    timeframe_ns: int
    features: tuple[str, ...] = ()
    policy: Policy = Policy.PYTHON
    params: tuple[float, ...] = ()
    size_kind: SizeKind = SizeKind.UNITS
    size_value: float = 0.0  # units, or a share of equity
    wants: int = 0  # a sum of Wants; PYTHON only
    history: int = 0  # bars that the actor may look back
    bar_kind: BarKind = BarKind.TIME
    bar_size: float = 0.0  # what closes a bar that is not cut by time: rows, units or currency
    also: tuple[int, ...] = ()  # further timeframes, in ns, whose bars it may look at
    cancel_on_disconnect: bool = True  # its working orders go when its actor does
    model: Model | None = None  # of Q_TABLE and NETWORK
    short: bool = False  # a model's sell, or target below 0, goes short
    threshold: float = (
        0.0  # a model's target: no order for a smaller change of exposure, as a share of equity
    )
    limits: RiskLimits = NO_LIMITS  # of its own part of the account, as shares of the account's equity

    @property
    def observation(self) -> tuple[str, ...]:
        """What stands beside its orders: its features, and behind them the values that its model gave."""
        if self.model is None:
            return self.features
        names = ACTIONS if self.model.n_outputs == len(ACTIONS) else ("target",)
        return (*self.features, *(f"value:{name}" for name in names))


@dataclass(frozen=True)
class EngineSpec:
    """A whole engine. Indices of everything follow the order given here."""

    instruments: tuple[InstrumentSpec, ...]
    accounts: tuple[AccountSpec, ...]
    strategies: tuple[StrategySpec, ...]
    grace_ns: int = 0
    merge_late: bool = False
    trade_from: int = NO_TIME  # before this time the tape only warms up
    scales: dict[str, int] = field(default_factory=dict)  # currency -> smallest units in one
    calendars: dict[str, Sessions] = field(default_factory=dict)
    risk: RiskSpec | None = None
    reasons: tuple[str, ...] = ()  # of the operator's rows on the tape
    most_orders: int = 100_000  # live at once; one more is denied

    def scale(self, currency: str) -> int:
        """Smallest money units in one of the currency: millionths, unless the spec says otherwise."""
        return self.scales.get(currency, 1_000_000)

    def check(self) -> None:
        """Raise SpecError where the parts do not fit together."""
        self._unique("instrument", [i.name for i in self.instruments])
        self._unique("account", [a.name for a in self.accounts])
        self._unique("strategy", [s.name for s in self.strategies])
        instruments = {i.name: i for i in self.instruments}
        accounts = {a.name: a for a in self.accounts}
        for currency, scale in self.scales.items():
            if not 1 <= scale <= 10**12 or scale != int(scale):
                raise SpecError(f"currency {currency!r}: a scale of {scale} is out of range")
        for instrument in self.instruments:
            _check_instrument(instrument)
            if instrument.calendar and instrument.calendar not in self.calendars:
                raise SpecError(
                    f"instrument {instrument.name!r}: there is no calendar {instrument.calendar!r}"
                )
        for name, sessions in self.calendars.items():
            times = np.column_stack((sessions.opens, sessions.closes)).ravel()
            if len(times) == 0 or not np.all(times[1:] >= times[:-1]):
                raise SpecError(f"calendar {name!r} has no sessions, or they are not in order")
        for account in self.accounts:
            if not 0 <= account.cash * self.scale(account.currency) < MONEY_LIMIT:
                raise SpecError(f"account {account.name!r}: cash of {account.cash} is negative or too large")
            _check_limits(account)
            _check_margin(account)
        given = {f"account {a.name!r}": a.limits.risk for a in self.accounts}
        given |= {f"strategy {s.name!r}": s.limits for s in self.strategies}
        for finding in findings(self.risk, given, set(instruments), self.trade_from):
            raise SpecError(finding)
        if self.most_orders < 1:
            raise SpecError(f"most_orders of {self.most_orders}; there must be room for one")
        if self.grace_ns < 0:
            raise SpecError(f"a grace of {self.grace_ns} ns; it cannot be negative")
        for strategy in self.strategies:
            if strategy.account not in accounts:
                raise SpecError(f"strategy {strategy.name!r}: there is no account {strategy.account!r}")
            if not strategy.instruments:
                raise SpecError(f"strategy {strategy.name!r} trades no instrument")
            by_time = strategy.bar_kind == BarKind.TIME
            if not 0 < (strategy.timeframe_ns if by_time else strategy.bar_size) < inf:
                raise SpecError(f"strategy {strategy.name!r}: the timeframe must be positive")
            if any(ns <= 0 for ns in strategy.also):
                raise SpecError(f"strategy {strategy.name!r}: a further timeframe must be positive")
            self._unique(f"strategy {strategy.name!r}: instrument", list(strategy.instruments))
            margin = accounts[strategy.account].margin
            _check_strategy(strategy, margin.leverage if margin else 1.0)
            if strategy.short and not margin:
                raise SpecError(f"strategy {strategy.name!r} goes short, which a cash account does not")
            for name in strategy.instruments:
                if name not in instruments:
                    raise SpecError(f"strategy {strategy.name!r}: there is no instrument {name!r}")
                currency = accounts[strategy.account].currency
                if instruments[name].currency != currency:
                    raise SpecError(
                        f"strategy {strategy.name!r}: {name} is in {instruments[name].currency}, "
                        f"account {strategy.account!r} in {currency}; an account trades its own currency"
                    )

    @staticmethod
    def _unique(what: str, names: list[str]) -> None:
        for name in names:
            if names.count(name) > 1:
                raise SpecError(f"{what} {name!r} is given twice")


def _check_instrument(i: InstrumentSpec) -> None:
    positive, any_amount = (lambda v: 0 < v < inf), (lambda v: 0 <= v < inf)
    rules: list[tuple[str, float, Callable[[float], bool]]] = [
        ("tick_size", i.tick_size, positive),
        ("lot_size", i.lot_size, positive),
        ("taker_bps", i.taker_bps, lambda v: -inf < v < inf),
        ("maker_bps", i.maker_bps, lambda v: -inf < v < inf),
        ("fee_per_unit", i.fee_per_unit, lambda v: -inf < v < inf),
        ("fee_min", i.fee_min, any_amount),
        ("min_lots", i.min_lots, positive),
        ("max_lots", i.max_lots, lambda v: i.min_lots <= v),
        ("latency_ns", i.latency_ns, any_amount),
        ("slippage_value", i.slippage_value, any_amount),
        ("participation", i.participation, lambda v: 0 <= v <= 1),
    ]
    for name, value, holds in rules:
        if not holds(value):
            raise SpecError(f"instrument {i.name!r}: {name} of {value} is out of range")


def _check_limits(account: AccountSpec) -> None:
    limits = account.limits
    for f in fields(limits):
        if f.name == "risk":
            continue
        value = getattr(limits, f.name)
        if not 0 <= value < inf:  # a limit that is no number must not pass for one that is off
            raise SpecError(
                f"account {account.name!r}: {f.name} of {value} is out of range; 0 switches it off"
            )
    if limits.rate_orders > 0 and limits.rate_window_ns == 0:
        raise SpecError(f"account {account.name!r}: rate_orders needs rate_window_ns")


def _check_margin(account: AccountSpec) -> None:
    margin = account.margin
    if margin is None:
        return
    rules = [
        ("leverage", margin.leverage, 0 < margin.leverage <= 1000),
        ("maintenance", margin.maintenance, 0 <= margin.maintenance * margin.leverage <= 1),
        *(
            (name, getattr(margin, name), 0 <= getattr(margin, name) < 100)
            for name in ("borrow_rate", "debit_rate", "credit_rate")
        ),
    ]
    for name, value, holds in rules:
        if not holds:
            raise SpecError(
                f"account {account.name!r}: {name} of {value} is out of range"
                + (
                    f"; it must be below the initial margin, {1 / margin.leverage:g}"
                    if name == "maintenance"
                    else ""
                )
            )


_MODELS = {Policy.Q_TABLE: QTable, Policy.NETWORK: Network}


def _check_model(strategy: StrategySpec) -> None:
    model = strategy.model
    if type(model) is not _MODELS.get(strategy.policy, type(None)):
        raise SpecError(
            f"strategy {strategy.name!r}: {strategy.policy.name} and its model do not go together"
        )
    if model and len(strategy.features) != model.n_inputs:
        raise SpecError(
            f"strategy {strategy.name!r}: its model looks at {model.n_inputs} features, "
            f"{len(strategy.features)} are given"
        )
    if model and model.n_outputs == 1 and strategy.size_kind != SizeKind.FRACTION:
        raise SpecError(
            f"strategy {strategy.name!r}: a target exposure needs a size that is a share of equity"
        )
    if not 0 <= strategy.threshold < inf:
        raise SpecError(f"strategy {strategy.name!r}: a threshold of {strategy.threshold} is out of range")


def _check_strategy(strategy: StrategySpec, leverage: float) -> None:
    _check_model(strategy)
    needed = POLICY_FEATURES.get(strategy.policy, 0)
    if len(strategy.features) < needed:
        raise SpecError(
            f"strategy {strategy.name!r}: {strategy.policy.name} decides on {needed} features, "
            f"{len(strategy.features)} are given"
        )
    if strategy.policy == Policy.PYTHON and not strategy.size_value:
        return
    largest = leverage if strategy.size_kind == SizeKind.FRACTION else inf
    if not (0 < strategy.size_value <= largest and strategy.size_value < inf):
        raise SpecError(f"strategy {strategy.name!r}: a size of {strategy.size_value} is out of range")
