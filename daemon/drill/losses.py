"""The limits on drawdown and daily loss, broken by the market."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.drill.checks import Check, Seen
from daemon.drill.desk import REACH, Desk
from daemon.drill.halts import Market, break_limit, halting, level_told
from daemon.drill.limits import Given
from daemon.drill.tampering import warn_only
from daemon.drill.verdicts import exit_passes, holding, passes, refused
from engine.records import Level, OperatorAction, TradingState

_TOO_MUCH = "the account cannot lose so much"
_HELD = 0.9  # of the equity
_KEPT, _BROKEN = 0.95, 1.05  # of the limit


def loss_limit(desk: Desk, given: Given) -> Iterator[Check]:
    """All checks of one limit."""
    if given.warning:
        yield _warning(desk, given)
    if not given.bound:
        return
    injected = f"{_KEPT:.0%}, then {_BROKEN:.0%} of it is lost"
    if _BROKEN * given.bound > REACH:
        yield desk.out_of_reach(given.title, injected, "halted or denied", _TOO_MUCH)
        return
    market = _falling(desk, given, given.bound, injected)
    if given.halts:
        yield from halting(desk, given, market)
        yield _once_more(desk, given)
    else:
        yield _denying(desk, given, market)


def _falling(desk: Desk, given: Given, share: float, injected: str) -> Market:
    def begin() -> int:
        desk.begin(given.limit)
        best.append(desk.equity)
        return desk.lots_of(_HELD)

    def prices() -> tuple[float, float]:
        lost = best[-1] - desk.equity  # by fees and slippage
        kept, breaks = (desk.price_after(part * share * best[-1] - lost) for part in (_KEPT, _BROKEN))
        return kept, breaks

    best: list[float] = []
    return Market(injected, begin, prices)


def _once_more(desk: Desk, given: Given) -> Check:
    """After a reset the limit counts from what there was then, and holds again."""
    seen = Seen()
    desk.settle()  # what passed after the reset fills
    lots = desk.lots_of(_HELD) - desk.held
    if lots > 0:
        holding(seen, desk, lots)
    desk.engine.operate(desk.name, OperatorAction.RESET, 0)
    best = desk.equity
    switched = []
    for part in (_KEPT, _BROKEN):
        lost = best - desk.equity
        switched.append(
            len(desk.switches(desk.print(desk.price_after(part * given.bound * best - lost)))) > 0
        )
    halted = switched[1] and desk.state == TradingState.HALTED
    seen.note(not switched[0], "kept at first", "but halted too early")
    seen.note(halted, "halted", f"but {desk.state.name}")
    injected = f"after the reset {_KEPT:.0%}, then {_BROKEN:.0%} of it lost"
    return desk.check(given.title, injected, "halted again", seen)


def _denying(desk: Desk, given: Given, market: Market) -> Check:
    """While the loss is that large exits pass only; with a better price orders do again."""
    seen = Seen()
    break_limit(seen, desk, given, market)
    seen.note(desk.state == TradingState.ACTIVE, "not halted", f"but {desk.state.name}")
    refused(seen, desk, given.code)
    exit_passes(seen, desk, desk.small)
    desk.print(2.0 * desk.price)
    passes(seen, desk.submit(desk.small))
    expected = f"denied: {given.code.name}; exit passes; with a gain orders pass"
    return desk.check(given.title, market.injected, expected, seen)


def _warning(desk: Desk, given: Given) -> Check:
    told = (
        f"{given.key} warning {given.warning:g}",
        f"{_BROKEN:.0%} of it is lost",
        "an event warns; not halted",
    )
    if _BROKEN * given.warning > REACH:
        return desk.out_of_reach(*told, _TOO_MUCH)
    seen = Seen()
    market = _falling(desk, given, given.warning, "")
    holding(seen, desk, market.begin())
    desk.change(given.limit, tamper=warn_only)
    kept, breaks = market.prices()
    desk.print(kept)
    level_told(seen, desk, desk.print(breaks), given, Level.WARNING)
    seen.note(desk.state == TradingState.ACTIVE, "not halted", f"but {desk.state.name}")
    return desk.check(*told, seen)
