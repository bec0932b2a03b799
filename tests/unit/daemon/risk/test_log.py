"""What a run's events on risk add up to, against events made by hand."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from daemon.risk.log import Halt, RiskLog
from engine.engine import Events
from engine.records import (
    EQUITY,
    EVENT,
    NONE,
    Code,
    EventKind,
    Level,
    Status,
    TradingState,
)
from engine.records_risk import GRADE

WITHIN, WARNING, BEYOND = Level


def risk(code: Code, level: int, account: int = 0, strategy: int = NONE) -> dict[str, Any]:
    return {"kind": EventKind.RISK, "code": code, "lots": level, "account": account, "strategy": strategy}


def order(order_id: int, status: Status, code: Code = Code.NONE, bound: float = 0.0) -> dict[str, Any]:
    return {"kind": EventKind.ORDER, "order_id": order_id, "status": status, "code": code, "bound": bound}


def state(
    code: Code, state: TradingState, account: int = 0, strategy: int = NONE, ts: int = 0
) -> dict[str, Any]:
    whose = {"account": account, "strategy": strategy}
    return {"kind": EventKind.STATE, "code": code, "lots": state, "ts": ts, **whose}


def caused(events: Iterable[dict[str, Any]] = (), grades: Iterable[tuple[Any, ...]] = ()) -> Events:
    events = list(events)
    records = np.zeros(len(events), EVENT)
    for record, event in zip(records, events, strict=True):
        for name, value in event.items():
            record[name] = value
    return Events(records, np.zeros((0, 1)), np.zeros(0, EQUITY), np.array(list(grades), GRADE))


def log_of(*events: dict[str, Any], accounts: int = 2, batches: int = 1) -> RiskLog:
    log = RiskLog(accounts)
    size = -(-len(events) // batches)
    for first in range(0, len(events), size):
        log.add(caused(events[first : first + size]))
    return log


def test_warning_counts_on_the_way_up_and_not_on_the_way_down() -> None:
    levels = (WARNING, BEYOND, WARNING, WITHIN, WARNING, WITHIN, BEYOND)
    counts = log_of(*(risk(Code.VAR, level) for level in levels)).counts[0]
    assert dict(counts.warnings) == {Code.VAR: 2}
    assert dict(counts.breaches) == {Code.VAR: 2}


def test_limits_of_an_account_and_its_strategies_are_followed_and_counted_apart() -> None:
    log = log_of(
        risk(Code.VAR, WARNING),
        risk(Code.VAR, WARNING, strategy=0),
        risk(Code.CVAR, WARNING, strategy=0),
        risk(Code.VAR, WITHIN),
        risk(Code.DRAWDOWN, BEYOND, account=1),
    )
    assert dict(log.counts[0].warnings) == {Code.VAR: 1}
    assert not log.counts[0].breaches
    assert dict(log.own[0].warnings) == {Code.VAR: 1, Code.CVAR: 1}
    assert dict(log.counts[1].breaches) == {Code.DRAWDOWN: 1}


def test_halt_by_a_limit_counts_and_one_by_the_operator_does_not() -> None:
    log = log_of(
        state(Code.DAILY_LOSS, TradingState.HALTED),
        state(Code.OPERATOR, TradingState.ACTIVE),
        state(Code.OPERATOR, TradingState.HALTED),
        state(Code.LIQUIDATION, TradingState.HALTED),
        state(Code.VAR, TradingState.HALTED, account=1),
    )
    assert [dict(counts.halts) for counts in log.counts] == [{Code.DAILY_LOSS: 1}, {Code.VAR: 1}]


def test_what_is_not_active_is_known_with_who_first_switched_it_and_when() -> None:
    halted, active = TradingState.HALTED, TradingState.ACTIVE
    log = log_of(
        state(Code.VAR, halted, account=1, strategy=2, ts=1),
        state(Code.DRAWDOWN, halted, account=1, ts=2),
        state(Code.LIQUIDATION, halted, account=1, ts=3),  # of what is halted already
        state(Code.OPERATOR, halted, ts=4),
        state(Code.OPERATOR, active, ts=5),
    )
    assert log.halts == [
        Halt(1, NONE, halted, Code.DRAWDOWN, 2),
        Halt(1, 2, halted, Code.VAR, 1),
    ]


def test_model_that_is_rejected_is_no_breach() -> None:
    counts = log_of(*(risk(Code.MODEL, rejected) for rejected in (1, 0, 1))).counts[0]
    assert counts.rejections == 2
    assert not counts.warnings
    assert not counts.breaches


@pytest.mark.parametrize("batches", [1, 2, 7])
def test_order_that_was_cut_counts_once_by_what_the_gate_said_first(batches: int) -> None:
    log = log_of(
        order(1, Status.NEW, Code.VAR, 0.03),  # cut
        order(1, Status.NEW, Code.CVAR, 0.05),  # new terms of it were refused
        order(2, Status.DENIED, Code.VAR, 0.03),
        order(3, Status.NEW, Code.CASH),  # cut by what there was to pay with
        order(4, Status.NEW),
        order(4, Status.NEW, Code.VAR, 0.03),  # new terms of it were refused
        order(5, Status.PENDING_NEW, Code.STRESSED_VAR, 0.2),
        order(5, Status.NEW, Code.STRESSED_VAR, 0.2),
        order(6, Status.NEW, Code.VAR),  # closes a position for a limit that flattens
        batches=batches,
    )
    assert dict(log.counts[0].cuts) == {Code.VAR: 1, Code.STRESSED_VAR: 1}


def test_grades_are_kept_in_order_over_batches() -> None:
    log = RiskLog(1)
    made = [(k, k + 1, 0, 0, 100, 1.0, 2.0, float(k)) for k in range(3)]
    assert len(log.grades) == 0
    for grades in (made[:2], [], made[2:]):
        log.add(caused(grades=grades))
    assert log.grades["pnl"].tolist() == [0.0, 1.0, 2.0]
