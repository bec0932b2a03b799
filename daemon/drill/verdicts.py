"""What the checks ask again and again: that an order is denied, or cut, or passes; that an exit passes."""

from __future__ import annotations

from daemon.drill.checks import Seen, Verdict
from daemon.drill.desk import Desk
from engine.records import Code, Side


def denial(seen: Seen, verdict: Verdict, *codes: Code) -> None:
    """An order must have been denied, with one of these codes; with any where none is given."""
    good = verdict.lots == 0 and (not codes or verdict.code in codes)
    seen.note(good, str(verdict), f"but {verdict}")


def refused(seen: Seen, desk: Desk, *codes: Code) -> None:
    """The smallest order must be denied, and so must an operator's, where the account is looked at; codes as above."""
    verdict = desk.submit(desk.small)
    denial(seen, verdict, *codes)
    if not desk.own:
        other = desk.submit(desk.small, slot=desk.operator_slot)
        if not other.same(verdict):
            seen.fail(f"but the operator's {other}")


def passes(seen: Seen, verdict: Verdict) -> None:
    """An order must have passed, whole."""
    seen.note(verdict.passed, str(verdict), f"but {verdict}")


def holding(seen: Seen, desk: Desk, lots: int) -> None:
    """The desk must come to hold so many lots more."""
    if not desk.hold(lots):
        seen.fail(f"but {lots:,} lots could not be bought")


def exit_passes(seen: Seen, desk: Desk, lots: int, fills: bool = True) -> None:
    """An exit of so many lots must pass whole, and fill at the next row."""
    before = desk.held
    verdict = desk.sell(lots)
    if seen.note(verdict.passed, "exit passed", f"but the exit {verdict}") and fills:
        desk.settle()
        if desk.held != before - lots:
            seen.fail(f"but it left {desk.held:,} of {before:,}")


def within(seen: Seen, desk: Desk, lots: int) -> None:
    """An order of so many lots would pass: it is tried, and taken back."""
    state = desk.engine.snapshot()
    passes(seen, desk.submit(lots))
    desk.engine.restore(state)


def broken(seen: Seen, desk: Desk, lots: int, code: Code, cut: bool, side: Side = Side.BUY) -> Verdict:
    """An order must be denied with the code, or cut by it; and of an account's limit an operator's must be, too."""
    state = desk.engine.snapshot()
    verdict = desk.submit(lots, side)
    if cut:
        good = verdict.code == code and 0 < verdict.lots < lots
        seen.note(good, str(verdict), f"but {verdict}")
    else:
        denial(seen, verdict, code)
    if not desk.own:
        desk.engine.restore(state)
        other = desk.submit(lots, side, slot=desk.operator_slot)
        seen.note(other.same(verdict), "operator's too", f"but the operator's {other}")
    return verdict


def outcome(code: Code, cut: bool) -> str:
    """What must become of an order that breaks a limit, in words."""
    return f"{'cut' if cut else 'denied'}: {code.name}"
