"""What an operator does: halt, reduce-only and flatten, and the reset that switches back."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.drill.checks import Check, Seen
from daemon.drill.desk import Desk
from daemon.drill.halts import reset
from daemon.drill.verdicts import exit_passes, holding, refused
from engine.records import Code, OperatorAction, TradingState


def operating(desk: Desk) -> Iterator[Check]:
    """Each action, and after the last of them the reset."""
    for action, state in (
        (OperatorAction.REDUCE_ONLY, TradingState.REDUCE_ONLY),
        (OperatorAction.FLATTEN, TradingState.HALTED),
        (OperatorAction.HALT, TradingState.HALTED),
    ):
        yield _done(desk, action, state)
    yield reset(desk, "operator: reset", "a reset after that")


def _done(desk: Desk, action: OperatorAction, state: TradingState) -> Check:
    seen = Seen()
    desk.begin()
    holding(seen, desk, 2 * desk.small)
    resting = desk.rest_order()
    events = desk.switches(desk.engine.operate(desk.name, action, 0).events)
    told = [(int(e["lots"]), Code(int(e["code"])), int(e["tag"])) for e in events]
    good = told == [(state, Code.OPERATOR, 0)] and desk.state == state
    seen.note(
        good,
        state.name.lower().replace("_", "-"),
        f"but {desk.state.name}; the switches were {told or 'none'}",
    )
    refused(seen, desk, Code.TRADING_STATE)
    if action == OperatorAction.FLATTEN:
        desk.settle()
        seen.note(desk.held == 0, "position closed", f"but {desk.held:,} lots are still held")
    else:
        exit_passes(seen, desk, desk.small)
    works = desk.is_working(resting)
    if state == TradingState.HALTED:
        seen.note(not works, "order cancelled", "but its order still works")
    else:
        seen.note(works, "order rests", "but its order is gone")
    expected = {
        OperatorAction.REDUCE_ONLY: "denied; exits pass, orders rest",
        OperatorAction.FLATTEN: "denied; orders cancelled, positions closed",
        OperatorAction.HALT: "denied; orders cancelled, exits pass",
    }[action]
    name = action.name.lower().replace("_", "-")
    return desk.check(f"operator: {name}", "with a reason", expected, seen)
