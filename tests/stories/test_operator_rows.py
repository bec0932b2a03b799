"""What an operator asks for is a row of the tape, with its reason: replayed, it happens again at the same place."""

from __future__ import annotations

import math

import pytest

from engine.engine import Engine
from engine.records import (
    Code,
    EventKind,
    Level,
    LimitAction,
    OperatorAction,
    RowKind,
    Side,
    Status,
    TradingState,
)
from engine.spec import LimitSpec, RiskLimits
from tests.builders import make_ticks, read
from tests.stories.accounts import refused
from tests.stories.desk import filled, row
from tests.stories.risk import ask, hold, levels, market, operate, switches

BUY, SELL = Side.BUY, Side.SELL
DRAWDOWN = RiskLimits(drawdown=LimitSpec(0.1, action=LimitAction.HALT))


def halted(limits: RiskLimits = DRAWDOWN) -> Engine:
    """50 lots at 100 of which a fall to 80 lost 1,000 of 10,000."""
    engine = market(limits=limits)
    hold(engine, 50)
    assert switches(row(engine, 80.0)) == [(TradingState.HALTED, Code.DRAWDOWN)]
    return engine


def test_reset_trades_again_and_says_who_and_why() -> None:
    engine = halted()
    event, told = operate(engine, 0, OperatorAction.RESET, reason=1)
    assert (event["kind"], event["code"], event["lots"]) == (
        EventKind.STATE, Code.OPERATOR, TradingState.ACTIVE
    )  # fmt: skip
    assert engine.spec.reasons[event["tag"]] == "the desk is closed"
    assert (event["account"], event["strategy"], event["ts"]) == (0, -1, engine.now)
    assert levels([told]) == [(Code.DRAWDOWN, Level.WITHIN)]
    assert ask(engine, BUY, 1)["code"] == Code.NONE


def test_reset_lets_drawdown_start_from_what_there_is() -> None:
    engine = halted()
    operate(engine, 0, OperatorAction.RESET)
    # 9,000, a tenth of which is lost at 62
    assert not switches(row(engine, 62.01))
    assert switches(row(engine, 62.0)) == [(TradingState.HALTED, Code.DRAWDOWN)]


def test_reset_does_not_hide_a_var_that_is_still_beyond() -> None:
    engine = market(limits=RiskLimits(var=LimitSpec(0.0201, action=LimitAction.HALT)))
    hold(engine, 50)
    row(engine, 102.0)
    assert switches(operate(engine, 0, OperatorAction.RESET)) == [
        (TradingState.ACTIVE, Code.OPERATOR),
        (TradingState.HALTED, Code.VAR),
    ]


def test_row_without_a_reason_says_that_there_is_none() -> None:
    (event,) = operate(market(), 0, OperatorAction.REDUCE_ONLY, reason=-1)
    assert event["tag"] == -1


def test_reduce_only_lets_exits_pass_and_leaves_resting_orders() -> None:
    engine = market()
    hold(engine, 50)
    ask(engine, BUY, 1, limit=90.0)
    assert switches(operate(engine, 0, OperatorAction.REDUCE_ONLY)) == [
        (TradingState.REDUCE_ONLY, Code.OPERATOR)
    ]
    assert len(engine.live_orders()) == 1
    assert ask(engine, BUY, 1)["code"] == Code.TRADING_STATE
    assert ask(engine, SELL, 50)["code"] == Code.NONE


def test_halt_cancels_what_rests() -> None:
    engine = market()
    hold(engine, 50)
    resting = ask(engine, BUY, 1, limit=90.0)["order_id"]
    events = operate(engine, 0, OperatorAction.HALT)
    assert [(e["order_id"], e["status"], e["code"]) for e in events if e["kind"] == EventKind.ORDER] == [
        (resting, Status.CANCELED, Code.OPERATOR)
    ]
    assert not filled(row(engine, 100.0, size=1e9))
    assert engine.state.slots[0].lots == 50


def test_flatten_halts_and_closes_the_positions() -> None:
    engine = market()
    hold(engine, 50)
    assert switches(operate(engine, 0, OperatorAction.FLATTEN)) == [(TradingState.HALTED, Code.OPERATOR)]
    assert filled(row(engine, 99.0, size=1e9)) == [(-1, 50, 99.0)]
    assert ask(engine, BUY, 1)["code"] == Code.TRADING_STATE


def test_row_for_a_strategy_is_about_that_one_alone() -> None:
    engine = market(strategies=("s", "t"))
    hold(engine, 50, slot=0)
    hold(engine, 30, slot=1)
    (first, *_) = operate(engine, 1 + 1, OperatorAction.FLATTEN)  # one account, then strategies: t
    assert (first["kind"], first["account"], first["strategy"]) == (EventKind.STATE, 0, 1)
    assert filled(row(engine, 99.0, size=1e9)) == [(-1, 30, 99.0)]
    assert ask(engine, BUY, 1, slot=1)["code"] == Code.TRADING_STATE
    assert ask(engine, BUY, 1, slot=0)["code"] == Code.NONE
    operate(engine, 2, OperatorAction.RESET)
    assert ask(engine, BUY, 1, slot=1)["code"] == Code.NONE


def test_reset_of_a_strategy_does_not_open_a_halted_account() -> None:
    engine = halted()
    operate(engine, 1, OperatorAction.RESET)
    assert ask(engine, BUY, 1)["code"] == Code.TRADING_STATE


@pytest.mark.parametrize("what", list(OperatorAction))
@pytest.mark.parametrize("portfolio", ["a", "s"])
def test_command_by_hand_is_that_of_the_tape(what: OperatorAction, portfolio: str) -> None:
    by_hand, by_tape = halted(), halted()
    engine_index = by_hand.portfolio_index[portfolio]
    assert engine_index == {"a": 0, "s": 1}[portfolio]
    told = read(by_hand.operate(portfolio, what, 1))
    row_now = make_ticks([(by_tape.now, float(what), 1.0, engine_index, RowKind.OPERATOR)])
    assert told == read(by_tape.process(row_now))
    assert by_hand.state_hash() == by_tape.state_hash()
    assert len(told) >= 1


def test_position_that_was_bought_in_the_same_batch_is_flattened() -> None:
    engine = market()
    ask(engine, BUY, 10)
    now = engine.now
    tape = make_ticks(
        [
            (now + 1, 100.0, 1e9, 0, RowKind.PRINT),
            (now + 2, float(OperatorAction.FLATTEN), 0.0, 0, RowKind.OPERATOR),
            (now + 3, 98.0, 1e9, 0, RowKind.PRINT),
            (now + 4, 97.0, 1e9, 0, RowKind.PRINT),
        ]
    )
    assert filled(read(engine.process(tape))) == [(1, 10, 100.0), (-1, 10, 98.0)]


@pytest.mark.parametrize(
    ("action", "reason", "portfolio"),
    [
        (4.0, 0.0, 0), (-1.0, 0.0, 0), (0.5, 0.0, 0), (math.nan, 0.0, 0), (math.inf, 0.0, 0),
        (2.0, -2.0, 0), (2.0, 0.5, 0), (2.0, math.nan, 0), (2.0, 0.0, 2), (2.0, 0.0, -1),
    ],
)  # fmt: skip
def test_row_that_asks_for_nothing_known_or_of_nobody_is_a_bad_row(
    action: float, reason: float, portfolio: int
) -> None:
    engine = market()
    rows = [(engine.now + 1, action, reason, portfolio, RowKind.OPERATOR)]
    assert not read(engine.process(make_ticks(rows)))
    assert refused(engine) == 1
    assert ask(engine, BUY, 1)["code"] == Code.NONE
