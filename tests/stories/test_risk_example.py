"""The worked example of docs/risk.md: twenty rows of two instruments, confidence 95 %, equity 10,000."""

import numpy as np
import pytest

from engine.engine import Engine
from engine.records import DAY, Code, EventKind, LimitAction, OrderType, Side, Status, Ticks
from engine.spec import (
    AccountSpec,
    EngineSpec,
    InstrumentSpec,
    LimitSpec,
    LimitsSpec,
    MarginSpec,
    RiskLimits,
    RiskSpec,
    ShockSpec,
)  # fmt: skip

A, B = 0, 1
RETURNS = np.full((20, 2), 0.005)  # by row, A and B
for row, both in {
    2: (-0.02, -0.01),
    4: (-0.03, -0.04),
    6: (-0.01, 0.01),
    8: (-0.022, -0.01),
    11: (0.01, -0.04),
}.items():
    RETURNS[row - 1] = both


def rows(prices: np.ndarray, first_day: int) -> Ticks:
    """A print of each instrument at noon of days on end."""
    n = prices.size
    ts = np.repeat((first_day + np.arange(len(prices))) * DAY + DAY // 2, 2).astype(np.int64)
    instrument = np.tile(np.arange(2, dtype=np.int32), len(prices))
    return Ticks(ts, ts, instrument, prices.ravel().copy(), np.full(n, 1e6), np.zeros(n, np.uint8))


def desk(a: int, b: int, action: LimitAction = LimitAction.DENY, limit: float = 0.02) -> Engine:
    """An account that holds so many of A and B, at 100 each, after the twenty rows."""
    limits = LimitsSpec(risk=RiskLimits(var=LimitSpec(limit, action=action), stressed_var=LimitSpec(0.9)))
    risk = RiskSpec(
        confidence=0.95, window=20, min_history=20, shocks=(ShockSpec("crash", (("A", -0.1),), -0.05),)
    )
    account = AccountSpec("desk", 10_000.0, limits=limits, margin=MarginSpec(leverage=10.0, maintenance=0.05))
    engine = Engine(EngineSpec((InstrumentSpec("A"), InstrumentSpec("B")), (account,), (), risk=risk))
    engine.start()
    # the newest row is row 1: it is the last to happen
    worth = np.vstack([np.ones(2), np.cumprod(1.0 + RETURNS[::-1], axis=0)])
    prices = worth / worth[-1] * 100.0
    engine.process(rows(prices, 0))
    engine.process(rows(prices[-1:], len(prices)))  # the last row closes at midnight before this
    for k, lots in ((A, a), (B, b)):
        engine.submit(engine.operator_slot("desk", "AB"[k]), Side.BUY if lots > 0 else Side.SELL, abs(lots))
    later = rows(prices[-1:], len(prices))
    engine.process(later._replace(ts_event=later.ts_event + 1, ts_recv=later.ts_recv + 1))
    assert [h.lots for h in engine.state.holdings] == [a, b]
    return engine


def ordered(engine: Engine, lots: int) -> np.void:
    """What becomes of an order to buy so many of A."""
    engine.take_events()
    engine.submit(engine.operator_slot("desk", "A"), Side.BUY, lots)
    events = engine.take_events().events
    return events[events["kind"] == EventKind.ORDER][0]


def test_var_is_the_second_largest_loss_and_cvar_the_mean_of_the_largest():
    found = desk(50, 20).measure("desk")
    assert found.equity == 10_000_000_000
    assert found.var == pytest.approx(130e6)
    assert found.cvar == pytest.approx(230e6)
    assert found.stressed_var == pytest.approx(600e6)  # 10 % of 5,000 and 5 % of 2,000
    assert [name for name, *_ in found.parts] == ["A", "B"]
    assert [part for *_, part, _ in found.parts] == pytest.approx([110e6, 20e6])
    assert [part for *_, part in found.parts] == pytest.approx([150e6, 80e6])


def test_order_beyond_the_limit_is_denied_with_what_was_measured():
    event = ordered(desk(50, 20), 40)
    assert event["status"] == Status.DENIED
    assert event["code"] == Code.VAR
    assert event["measure"] == pytest.approx(0.0218)
    assert event["bound"] == 0.02


def test_order_beyond_the_limit_is_cut_to_31_lots():
    event = ordered(desk(50, 20, LimitAction.RESIZE), 40)
    assert (event["lots"], event["code"]) == (31, Code.VAR)


def test_resting_order_counts_where_it_loses():
    engine = desk(50, 20, LimitAction.RESIZE)
    engine.submit(engine.operator_slot("desk", "B"), Side.BUY, 20, OrderType.LIMIT, limit=90.0)
    assert ordered(engine, 40)["lots"] == 22


def test_hedge_has_a_negative_part():
    found = desk(50, -20).measure("desk")
    assert found.var == pytest.approx(80e6)
    assert [part for *_, part, _ in found.parts] == pytest.approx([100e6, -20e6])
