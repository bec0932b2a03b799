"""Faults of numbers, prices and room: no order may pass that could add to a risk, and no exit may be held up."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, nan

import numpy as np

from daemon.drill.checks import Check, Seen
from daemon.drill.desk import ALL, LOSSES, Desk
from daemon.drill.tampering import small_buffer
from daemon.drill.verdicts import denial, exit_passes, holding, refused
from engine.records import HUGE, NONE, Code

_NO_PRICES = (nan, inf, HUGE, 0.0, -1.0)
_LARGEST = HUGE / 10  # a price that the tape takes, though no money can count it


def faults(desk: Desk) -> Iterator[Check]:
    """All of them."""
    yield no_prices(desk)
    yield huge_price(desk)
    yield nan_limit(desk)
    yield missing_price(desk)
    yield stale_price(desk)
    yield full_buffer(desk)


def usual_order(desk: Desk) -> Check:
    """With nothing wrong the smallest order passes and fills."""
    seen = Seen()
    desk.begin(*ALL)
    verdict = desk.submit(desk.small)
    hint = "; the tape is too short for it" if verdict.code == Code.HISTORY else ""
    if seen.note(verdict.passed, "passed", f"but {verdict}{hint}"):
        desk.settle()
        seen.note(desk.held == desk.small, "filled", f"but {desk.held:,} of {desk.small:,} filled")
    return desk.check("usual order", "the smallest order", "passes, fills", seen)


def no_prices(desk: Desk) -> Check:
    """Rows that are no price are refused."""
    seen = Seen()
    desk.begin(*ALL)
    before, bad = desk.price, int(desk.engine.state.clock[0].bad_rows)
    events = sum(len(desk.print(price)) for price in _NO_PRICES)
    refused = int(desk.engine.state.clock[0].bad_rows) - bad
    seen.note(refused == len(_NO_PRICES), "refused", f"but {refused} of {len(_NO_PRICES)} refused")
    seen.note(desk.price == before, "the last price stays", f"but the last price is {desk.price:g}")
    if events:
        seen.fail(f"but {events} events")
    told = ", ".join(f"{price:g}" for price in _NO_PRICES)
    return desk.check("rows that are no price", f"prints at {told}", "refused; the last price stays", seen)


def huge_price(desk: Desk) -> Check:
    """A price that no money can count lets nothing in."""
    seen = Seen()
    desk.begin()
    holding(seen, desk, desk.small)
    desk.print(_LARGEST)
    refused(seen, desk)
    exit_passes(seen, desk, desk.small, fills=False)
    return desk.check("absurd price", f"a print at {_LARGEST:g}", "denied; exit passes", seen)


def nan_limit(desk: Desk) -> Check:
    """An order at a price that is no number makes no sense."""
    seen = Seen()
    desk.begin()
    verdicts = [desk.submit(desk.small, limit=price) for price in (nan, inf)]
    denial(seen, next((v for v in verdicts if v.lots), verdicts[0]), Code.INSTRUMENT)
    return desk.check("order at no price", "limits of nan and inf", "denied: INSTRUMENT", seen)


def missing_price(desk: Desk) -> Check:
    """What has not printed yet cannot be bought."""
    seen = Seen()
    desk.begin(*LOSSES, state=desk.fresh)
    refused(seen, desk, Code.PRICE_MISSING)
    injected = f"no print of {desk.instrument.name} yet"
    return desk.check("missing price", injected, "denied: PRICE_MISSING", seen)


def stale_price(desk: Desk) -> Check:
    """A price that is too old is none."""
    told = "stale price", "no print, the market open", "denied: PRICE_STALE; exit passes"
    if unasked := never_stale(desk, told):
        return unasked
    seen = Seen()
    desk.begin("max_stale_ns")
    holding(seen, desk, desk.small)
    desk.wait(stale_at(desk))
    refused(seen, desk, Code.PRICE_STALE)
    exit_passes(seen, desk, desk.small)
    return desk.check(*told, seen)


def full_buffer(desk: Desk) -> Check:
    """Where there is no room for one more order it is denied."""
    seen = Seen()
    desk.begin(tamper=small_buffer(2))
    holding(seen, desk, desk.small)
    resting = [desk.rest_order() for _ in range(2)]
    if not all(resting):
        seen.fail("but 2 orders could not be made to rest")
    refused(seen, desk, Code.BUFFER)
    exit_passes(seen, desk, desk.small)
    return desk.check("full buffer", "room for 2 orders, and 2 rest", "denied: BUFFER; exit passes", seen)


def never_stale(desk: Desk, told: tuple[str, str, str]) -> Check | None:
    """The check on a price that is too old, where the desk's cannot become so; else None."""
    if not desk.given.limits.max_price_age:
        return desk.not_configured(*told, "no max_price_age")
    desk.begin()
    return desk.out_of_reach(*told, "its calendar ends before") if stale_at(desk) == NONE else None


def stale_at(desk: Desk) -> int:
    """When a print of now will be too old: its market was open for longer than the limit; NONE: never."""
    now = desk.engine.now
    most = desk.given.limits.max_price_age or 0
    sessions = desk.engine.spec.calendars.get(desk.instrument.calendar)
    if sessions is None:
        return now + most + 1
    opens, closes = np.maximum(sessions.opens, now), np.maximum(sessions.closes, now)
    open_time = np.cumsum(closes - opens)  # from now to the end of each session
    place = int(np.searchsorted(open_time, most, side="right"))
    if place == len(open_time):
        return NONE
    before = int(open_time[place - 1]) if place else 0
    return int(opens[place]) + most - before + 1
