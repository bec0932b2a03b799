"""Limits that the market alone breaks: at the very row the trading state switches, resting orders go, positions may."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from daemon.drill.checks import Check, Seen
from daemon.drill.desk import FORECASTS, Desk
from daemon.drill.limits import Given
from daemon.drill.verdicts import exit_passes, holding, refused
from engine.records import Code, Level, LimitAction, OperatorAction, TradingState


class Market(NamedTuple):
    """How the market breaks a limit."""

    injected: str
    begin: Callable[[], int]  # sets the scene; gives the lots to hold
    prices: Callable[[], tuple[float, float]]  # with these held: one that keeps the limit, one that breaks it


def halting(desk: Desk, given: Given, market: Market) -> Iterator[Check]:
    """The market breaks the limit; then what passes while the portfolio is halted; then an operator's reset."""
    flattens = given.action == LimitAction.FLATTEN
    seen = Seen()
    events, resting = break_limit(seen, desk, given, market)
    switches = desk.switches(events)
    told = [TradingState(int(e["lots"])).name + " by " + Code(int(e["code"])).name for e in switches]
    good = told == [f"HALTED by {given.code.name}"] and switches[0]["ts"] == desk.engine.now
    seen.note(
        good and desk.state == TradingState.HALTED,
        "halted at that row",
        f"but the switches were {told or 'none'}",
    )
    held = desk.held
    desk.settle()
    seen.note(not desk.is_working(resting), "order cancelled", "but its order still works")
    if flattens:
        seen.note(desk.held == 0, "position closed", f"but {desk.held:,} of {held:,} are still held")
    expected = "halted at that row, orders cancelled" + (", flattened" if flattens else "")
    yield desk.check(given.title, market.injected, expected, seen)

    seen = Seen()
    refused(seen, desk, Code.TRADING_STATE)
    expected = "denied: TRADING_STATE"
    if not flattens:
        exit_passes(seen, desk, desk.held // 2)
        expected += "; exit passes"
    yield desk.check(given.title, "an order while halted", expected, seen)
    if given.limit in FORECASTS:
        desk.change()  # what it measures is still beyond it, and would halt again
    yield reset(desk, given.title, "the operator's reset")


def reset(desk: Desk, name: str, injected: str) -> Check:
    """An operator switches the portfolio back, with a reason; losses of before do not count any more."""
    seen = Seen()
    switches = desk.switches(desk.engine.operate(desk.name, OperatorAction.RESET, 0).events)
    told = [(int(e["lots"]), Code(int(e["code"])), int(e["tag"])) for e in switches]
    good = told == [(TradingState.ACTIVE, Code.OPERATOR, 0)] and desk.state == TradingState.ACTIVE
    seen.note(good, "active, reason told", f"but {desk.state.name}; the switches were {told or 'none'}")
    desk.print(desk.price)
    verdict = desk.submit(desk.small)
    seen.note(verdict.passed, "orders pass", f"but {verdict}")
    return desk.check(name, injected, "active again, orders pass", seen)


def break_limit(seen: Seen, desk: Desk, given: Given, market: Market) -> tuple[np.ndarray[Any, Any], int]:
    """Let the market keep the limit, and then break it; the events of the row that does, and an order that rested."""
    holding(seen, desk, market.begin())
    resting = desk.rest_order()
    if not resting:
        seen.fail("but no order could be made to rest")
    kept, breaks = market.prices()
    early = desk.switches(desk.print(kept))
    seen.note(len(early) == 0 and desk.state == TradingState.ACTIVE, "kept at first", "but halted too early")
    events = desk.print(breaks)
    level_told(seen, desk, events, given, Level.BEYOND)
    return events, resting


def level_told(seen: Seen, desk: Desk, events: np.ndarray[Any, Any], given: Given, level: Level) -> None:
    """One event must have told that the limit, or its warning, was reached, and against what it was held."""
    told = desk.levels(events, given.code)
    bound = given.bound if level == Level.BEYOND else given.warning
    if len(told) == 1 and told[0]["lots"] == level:
        measure, found = float(told[0]["measure"]), float(told[0]["bound"])
        good = measure >= bound == found
        seen.note(
            good, f"{measure:.2%} against {found:.2%}", f"but {measure:.3%} was held against {found:.3%}"
        )
    else:
        seen.fail(f"but {len(told)} events told of it")
