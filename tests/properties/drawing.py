"""Random small worlds: anything that the engine has to bear. Everything is drawn from a `random.Random`.

Hypothesis' own is given where examples are to shrink, a seeded one where two processes have to draw the same.
"""

from __future__ import annotations

import math
import random
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from engine.models import Model, Network, QTable
from engine.policies import Policy
from engine.records import (
    SECOND,
    TICK_DTYPES,
    BarKind,
    LimitAction,
    Method,
    OperatorAction,
    RowKind,
    SizeKind,
    Slippage,
    Ticks,
    TradingState,
    Wants,
)
from engine.spec import (
    AccountSpec,
    EngineSpec,
    GradingSpec,
    InstrumentSpec,
    LimitSpec,
    LimitsSpec,
    MarginSpec,
    RiskLimits,
    RiskSpec,
    Sessions,
    ShockSpec,
    StrategySpec,
    WindowSpec,
)
from tests.builders import MINUTE
from tests.properties.worlds import BEGIN, World

MS = 1_000_000
FEATURES = (
    "close", "volume", "return_1", "log_return_2", "sma_2", "ema_3", "rsi_2", "macd_2_3_2", "macd_signal_2_3_2",
    "macd_hist_2_3_2", "atr_2", "bb_position_3_2", "realized_vol_2", "volume_z_3", "balance", "holdings",
    "cash_share", "drawdown", "bars_held", "sma_gap_3", "exposure",
)  # fmt: skip
SLOWER = (f"sma_2@{2 * MINUTE}", f"atr_2@{2 * MINUTE}", f"rsi_2@{30 * SECOND}")
SIGNALS: dict[Policy, tuple[tuple[str, ...], tuple[float, ...]]] = {
    Policy.BUY_AND_HOLD: ((), ()),
    Policy.SMA_CROSS: (("sma_2", "sma_3"), ()),
    Policy.MOMENTUM: (("return_1",), (0.001,)),
    Policy.RSI_REVERSION: (("rsi_2",), (40.0, 60.0)),
}
MODELS = (Policy.Q_TABLE, Policy.NETWORK)
EVERYTHING = sum(Wants)
WANTED = (EVERYTHING, Wants.BAR, Wants.BAR | Wants.FILL, Wants.TICK | Wants.ORDER, EVERYTHING - Wants.TICK)
SPLITS = ((2, 1), (3, 1), (3, 2), (7, 1), (1, 2), (1, 3), (1, 10), (2, 3), (1.5, 1), (21, 20))


def random_world(rng: random.Random, minutes: int = 8, live: bool | None = None) -> World:
    """Anything that the engine has to bear, small. live: whether rows arrive late and out of the venue's order."""
    if live is None:
        live = rng.random() < 0.3
    spec = _random_spec(rng, minutes, 250 * MS if live else 0)
    tape = _random_tape(rng, spec, minutes, live)
    rows = len(tape.price)
    wishes: dict[int, list[tuple[Any, ...]]] = {}
    for _ in range(rng.randint(0, 8)):
        wishes.setdefault(rng.randint(1, rows), []).append(_random_wish(rng, spec))
    seeds = {s.name: (s.wants, rng.randint(0, 2**32)) for s in spec.strategies if s.policy == Policy.PYTHON}
    return World(spec, tape, wishes, seeds)


def worlds(minutes: int = 8, live: bool | None = None) -> st.SearchStrategy[World]:
    """Worlds that Hypothesis can shrink."""
    return st.randoms(use_true_random=False).map(lambda rng: random_world(rng, minutes, live))


def _random_spec(rng: random.Random, minutes: int, grace_ns: int) -> EngineSpec:
    latency = rng.choice((0, 0, 1, 300 * MS, 90 * SECOND))
    trade_from = BEGIN + rng.choice((0, 0, 2)) * MINUTE
    risk = _random_risk(rng, trade_from) if rng.random() < 0.5 else None
    accounts = [_random_account(rng, name, risk) for name in ("x", "y")[: rng.randint(1, 2)]]
    calendars = {"floor": _random_sessions(rng, minutes)} if rng.random() < 0.6 else {}
    instruments = []
    for name in ("A", "B", "C")[: rng.randint(1, 3)]:
        currency = accounts[0].currency if name == "A" else rng.choice(accounts).currency
        instruments.append(_random_instrument(rng, name, currency, latency, rng.choice(("", *calendars))))
    strategies = [
        _random_strategy(rng, f"s{i}", accounts, instruments, risk) for i in range(rng.randint(1, 4))
    ]
    return EngineSpec(
        tuple(instruments),
        tuple(accounts),
        tuple(strategies),
        grace_ns=grace_ns,
        merge_late=rng.random() < 0.5,
        trade_from=trade_from,
        scales=rng.choice(({}, {}, {"USD": 100, "EUR": 10**8})),
        calendars=calendars,
        risk=risk,
        reasons=("looked into it", "the desk is closed"),
        most_orders=rng.choice((*[100_000] * 7, 3)),
    )


def _random_risk(rng: random.Random, trade_from: int) -> RiskSpec:
    grading = GradingSpec(
        tuple(rng.sample(list(Method), rng.randint(0, 6))),
        outcomes=rng.choice((2, 4)),
        significance=rng.choice((0.05, 0.5)),
        tighten=rng.choice((1.0, 0.5)),
    )
    confidence, least = rng.choice(((0.6, 3), (0.6, 3), (0.75, 4), (0.9, 10)))
    return RiskSpec(
        method=rng.choice(list(Method)),
        confidence=confidence,
        horizon=rng.choice((1, 1, 4)),
        period_ns=rng.choice((7, 20, 30, 60)) * SECOND,
        offset_ns=rng.choice((0, 0, 3)) * SECOND,
        window=least + rng.choice((0, 5, 20)),
        min_history=least,
        prior_volatility=rng.choice((0.0, 0.01, 0.2)),
        decay=rng.choice((0.94, 0.7)),
        draws=rng.choice((12, 50)),
        seed=rng.choice((0, 3)),
        windows=(WindowSpec("before", BEGIN - MINUTE, trade_from),) * (rng.random() < 0.3),
        shocks=(ShockSpec("crash", (("A", -0.1),), rng.choice((0.0, -0.02, 0.05))),) * (rng.random() < 0.6),
        grading=grading,
    )


def _random_risk_limits(rng: random.Random, risk: RiskSpec | None) -> RiskLimits:
    """risk: what says how losses are forecast, where they may be limited."""

    def one(*shares: float, cut: bool = True) -> LimitSpec:
        if rng.random() < 0.5:
            return LimitSpec()
        limit = rng.choice(shares)
        actions = [a for a in LimitAction if cut or a != LimitAction.RESIZE]
        return LimitSpec(limit, rng.choice((0.0, limit / 2)), rng.choice(actions))

    var = cvar = stressed = LimitSpec()
    if risk:
        var, cvar = one(0.001, 0.03), one(0.002, 0.05)
        stressed = one(0.01, 0.1) if risk.windows or risk.shocks else stressed
    return RiskLimits(var, cvar, stressed, one(0.01, 0.03, cut=False), one(0.01, 0.03, cut=False))


def _random_instrument(
    rng: random.Random, name: str, currency: str, latency: int, calendar: str
) -> InstrumentSpec:
    return InstrumentSpec(
        name,
        tick_size=rng.choice((0.01, 0.25, 1e-4)),
        lot_size=rng.choice((1.0, 0.01, 1e-8, 100.0)),
        currency=currency,
        taker_bps=rng.choice((0.0, 10.0, 3.3)),
        maker_bps=rng.choice((0.0, 2.0, -1.0)),
        fee_per_unit=rng.choice((0.0, 0.005)),
        fee_min=rng.choice((0.0, 1.0)),
        min_lots=rng.choice((1, 1, 2)),
        latency_ns=latency,
        slippage=rng.choice(list(Slippage)),
        slippage_value=rng.choice((0.0, 1.0, 25.0)),
        participation=rng.choice((0.0, 0.0, 0.1, 1.0)),
        fill_at_touch=rng.random() < 0.5,
        day_offset_ns=rng.choice((0, 3600 * SECOND)),
        calendar=calendar,
        symbols=("A2", "A3"),
    )


def _random_account(rng: random.Random, name: str, risk: RiskSpec | None) -> AccountSpec:
    margin = None
    if rng.random() < 0.5:
        leverage = rng.choice((1.0, 2.0, 5.0))
        margin = MarginSpec(
            leverage,
            rng.choice((0.0, 0.5, 0.95, 1.0)) / leverage,
            borrow_rate=rng.choice((0.0, 3.0)),
            debit_rate=rng.choice((0.0, 5.0)),
            credit_rate=rng.choice((0.0, 0.1)),
        )
    cash = rng.choice((1_000_000.0, 1_000_000.0, 100_000.0, 500.0, 0.0))
    currency = rng.choice(("USD", "USD", "USD", "EUR"))
    return AccountSpec(name, cash, currency, _random_limits(rng, risk), margin)


def _random_strategy(
    rng: random.Random,
    name: str,
    accounts: list[AccountSpec],
    instruments: list[InstrumentSpec],
    risk: RiskSpec | None,
) -> StrategySpec:
    tradable = {a.name: [i.name for i in instruments if i.currency == a.currency] for a in accounts}
    account = rng.choice([a for a, found in tradable.items() if found])
    margin = next(a for a in accounts if a.name == account).margin is not None
    names = [i for i in tradable[account] if rng.random() < 0.7] or tradable[account][:1]
    policy = rng.choice((*[Policy.PYTHON] * 4, *SIGNALS, *MODELS))
    features, params = SIGNALS.get(policy, ((), ()))
    features = (*features, *rng.sample((*FEATURES, *SLOWER), rng.randint(int(policy in MODELS), 3)))
    lot = min(i.lot_size for i in instruments)
    kind, size = rng.choice((
        (BarKind.TIME, 0.0), (BarKind.TIME, 0.0), (BarKind.TICKS, 3.0), (BarKind.VOLUME, 50 * lot),
        (BarKind.VALUE, 3_000 * lot),
    ))  # fmt: skip
    return StrategySpec(
        name,
        account,
        tuple(names),
        rng.choice((MINUTE, MINUTE, 2 * MINUTE)),
        features,
        policy,
        params,
        SizeKind.FRACTION,
        rng.choice((0.3, 0.95)),
        wants=rng.choice(WANTED) if policy == Policy.PYTHON else 0,
        history=rng.choice((0, 5)),
        bar_kind=kind,
        bar_size=size,
        also=rng.choice(((), (), (3 * MINUTE, 20 * SECOND))),
        cancel_on_disconnect=rng.random() < 0.8,
        model=random_model(rng, policy, len(features)),
        short=policy in MODELS and margin and rng.random() < 0.5,
        threshold=rng.choice((0.0, 0.1)),
        limits=_random_risk_limits(rng, risk) if rng.random() < 0.3 else RiskLimits(),
    )


def random_model(rng: random.Random, policy: Policy, n: int) -> Model | None:
    """A model that decides now this, now that: on prices, volumes and shares alike."""
    numbers = np.random.default_rng(rng.randint(0, 2**32))
    if policy == Policy.Q_TABLE:
        edges = tuple(
            np.sort(numbers.choice([-0.01, 0.0, 0.01, 0.5, 50.0, 100.0], 2, replace=False)) for _ in range(n)
        )
        return QTable(edges, numbers.normal(size=(3**n, 3)))
    if policy == Policy.NETWORK:
        widths = (n, rng.choice((1, 3, 5)), 4, rng.choice((1, 3)))
        weights = tuple(numbers.normal(0, 2.0 / math.sqrt(a), (b, a)) for a, b in pairwise(widths))
        biases = tuple(numbers.normal(0, 1.0, b) for b in widths[1:])
        scale = numbers.choice([0.01, 1.0, 100.0], n)
        return Network(np.zeros(n), scale, 2.0, weights, biases, rng.choice(("tanh", "relu")))
    return None


def _random_sessions(rng: random.Random, minutes: int) -> Sessions:
    """A few sessions over the tape, with gaps or without, which may begin after it does and end before."""
    edges = sorted(rng.sample(range(-30, minutes * 60 + 90, 10), 2 * rng.randint(1, 4)))
    times = BEGIN + np.array(edges, np.int64) * SECOND
    if rng.random() < 0.3:  # one follows upon the other
        times = np.repeat(times, 2)[1:-1]
    return Sessions(np.ascontiguousarray(times[::2]), np.ascontiguousarray(times[1::2]))


def _random_limits(rng: random.Random, risk: RiskSpec | None) -> LimitsSpec:
    if rng.random() < 0.6:
        return LimitsSpec()

    def some(*values: Any) -> Any:
        return rng.choice((0, 0, *values))

    return LimitsSpec(
        max_order_notional=some(1_000.0),
        max_position=some(50.0),
        max_gross=some(0.9),
        max_net=some(0.9),
        max_concentration=some(0.5),
        collar=some(0.02, 0.02),
        max_stale_ns=some(MINUTE),
        rate_orders=some(2),
        rate_window_ns=MINUTE,
        resize=rng.random() < 0.5,
        risk=_random_risk_limits(rng, risk),
    )


Row = tuple[int, int, float, float, int]  # time, instrument or account, price, size, kind


def _random_tape(rng: random.Random, spec: EngineSpec, minutes: int, live: bool) -> Ticks:
    ticks = [max(round(rng.choice((100.0, 7.5, 412.0)) / i.tick_size), 10) for i in spec.instruments]
    rows: list[Row] = []
    still = [rng.random() < 0.2 for _ in ticks]

    def step(k: int) -> float:
        jump = 0 if still[k] else rng.choice((0, 1, -1, 2, -2, 5, -5, ticks[k] // 5, -ticks[k] // 6))
        ticks[k] = max(ticks[k] + jump, 1)
        return ticks[k] * spec.instruments[k].tick_size

    def size(k: int) -> float:
        return rng.choice((0.0, 1.0, 10.0, 333.0)) * spec.instruments[k].lot_size

    for m in range(minutes):
        start = BEGIN + m * MINUTE
        if rng.random() < 0.3:
            rows.append((start, *_random_action(rng, spec, ticks)))
        comes = rng.choice(("bars", "bars", "prints", "prints", "prints", "nothing"))
        if comes == "bars":
            path = ((start, RowKind.PRINT), *((start + MINUTE - 1, RowKind(kind)) for kind in (1, 1, 2)))
            rows += [(ts, k, step(k), size(k), kind) for ts, kind in path for k in range(len(ticks))]
        elif comes == "prints":
            times = sorted(rng.choice((0, 1, 30, 59)) * SECOND + start for _ in range(rng.randint(1, 8)))
            for ts in times:
                k = rng.randrange(len(ticks))
                rows.append((ts, k, step(k), size(k), RowKind.PRINT))
                if rng.random() < 0.1:
                    rows.append((ts, *_random_action(rng, spec, ticks)))
            if rng.random() < 0.3:
                rows.append((start + MINUTE - 1, *_bad_row(rng)))
    rows.append((BEGIN + minutes * MINUTE, 0, 0.0, 0.0, RowKind.TIMER))
    event = np.array([r[0] for r in rows], np.int64)
    received = event
    if live:
        delay = np.array([rng.choice((0, 1, 100, 400)) * MS for _ in rows], np.int64)
        received = event + delay
    order = np.argsort(received, kind="stable")
    columns = (event, received, *([r[i] for r in rows] for i in (1, 2, 3, 4)))
    return Ticks(*(np.array(c, d)[order] for c, d in zip(columns, TICK_DTYPES, strict=True)))


def _random_action(
    rng: random.Random, spec: EngineSpec, ticks: list[int]
) -> tuple[int, float, float, RowKind]:
    k = rng.randrange(len(spec.instruments))
    what = rng.choice((
        "split", "split", "split", "dividend", "dividend", "cash", "cash", "operator", "operator", "symbol", "mark", "mark", "end",
    ))  # fmt: skip
    if what == "split":
        new, old = rng.choice(SPLITS)
        ticks[k] = max(round(ticks[k] * old / new), 1)
        return k, new, old, RowKind.SPLIT
    if what == "dividend":
        paid = rng.choice((1, 2, 3.7, ticks[k] // 9, 2 * ticks[k]))  # the last is more than the price
        return k, paid * spec.instruments[k].tick_size, 0.0, RowKind.DIVIDEND
    if what == "cash":
        a = rng.randrange(len(spec.accounts))
        return a, rng.choice((1_000.0, 0.004, -300.0, -2e6, -1.0)), 0.0, RowKind.CASH
    if what == "operator":
        portfolio = rng.randrange(len(spec.accounts) + len(spec.strategies))
        asked = rng.choice((OperatorAction.RESET, *OperatorAction))
        return portfolio, float(asked), float(rng.randint(0, 1)), RowKind.OPERATOR
    if what == "mark":
        ticks[k] = max(ticks[k] + rng.randint(-9, 9), 1)
        return k, ticks[k] * spec.instruments[k].tick_size, 0.0, RowKind.MARK
    if what == "symbol":
        return k, rng.choice((0.0, 1.0)), 0.0, RowKind.SYMBOL
    if rng.random() < 0.6:
        return k, 1.0, 0.0, RowKind.SYMBOL
    return k, rng.choice((0.0, 3.5)), rng.choice((0.0, 1.0)), RowKind.DELISTING


def _bad_row(rng: random.Random) -> tuple[int, float, float, int]:
    nan, inf = np.nan, np.inf
    return rng.choice((
        (0, 0.0, 1.0, 0), (0, -1.0, 1.0, 0), (0, nan, 1.0, 0), (0, inf, 1.0, 0), (0, 10.0, -1.0, 0),
        (0, 10.0, nan, 0), (99, 10.0, 1.0, 0), (-1, 10.0, 1.0, 0), (77, 0.0, 0.0, RowKind.TIMER),
        (0, 0.0, 1.0, RowKind.SPLIT), (0, nan, 1.0, RowKind.SPLIT), (0, 2.0, -1.0, RowKind.SPLIT),
        (0, 1e300, 1.0, RowKind.SPLIT), (0, 1e-9, 1.0, RowKind.SPLIT), (9, 2.0, 1.0, RowKind.SPLIT),
        (0, -1.0, 0.0, RowKind.DIVIDEND), (0, nan, 0.0, RowKind.DIVIDEND), (0, 1e250, 0.0, RowKind.DIVIDEND),
        (0, -1.0, 0.0, RowKind.SYMBOL), (0, nan, 0.0, RowKind.SYMBOL), (5, 1.0, 0.0, RowKind.CASH),
        (0, nan, 0.0, RowKind.CASH), (0, 1e300, 0.0, RowKind.CASH), (0, nan, 1.0, RowKind.DELISTING),
        (0, 10.0, 1.0, RowKind.OPERATOR), (0, 0.0, 99.0, RowKind.OPERATOR), (-1, 0.0, 0.0, RowKind.OPERATOR),
        (77, 0.0, 0.0, RowKind.OPERATOR), (0, nan, 0.0, RowKind.OPERATOR), (0, 1.5, 0.0, RowKind.OPERATOR),
        (0, 0.0, nan, RowKind.OPERATOR), (0, 0.0, -2.0, RowKind.OPERATOR), (0, 10.0, 1.0, 11), (0, 10.0, 1.0, 15),
        (0, 0.0, 1.0, RowKind.MARK), (0, nan, 1.0, RowKind.MARK), (9, 10.0, 1.0, RowKind.MARK), (-1, 10.0, 1.0, RowKind.MARK),
    ))  # fmt: skip


def _random_wish(rng: random.Random, spec: EngineSpec) -> tuple[Any, ...]:
    account = rng.choice(spec.accounts)
    names = [i.name for i in spec.instruments if i.currency == account.currency]
    what = rng.choice(("act", "act", "act", "act", "flatten", "state", "disconnect", "deposit"))
    if what == "act" and names:
        return what, account.name, rng.choice(names), rng.randint(0, 2**32)
    if what == "disconnect":
        return what, rng.choice(spec.strategies).name
    if what == "deposit":
        return what, account.name, rng.choice((10**9, 1, -1, -(10**8), -(10**15)))
    if what == "state":
        return what, account.name, rng.choice((TradingState.ACTIVE, *TradingState))
    return "flatten", account.name
