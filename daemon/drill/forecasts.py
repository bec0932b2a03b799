"""The limits on VaR, CVaR and stressed VaR, each broken by an order, and where it halts by the market alone.

The scenarios of the instrument are made so dangerous that any method finds the limit broken by an order that the account
can pay for, and kept by a small one. What is measured comes from these scenarios; the limit is the configuration's.
"""

from __future__ import annotations

from collections.abc import Iterator

from daemon.drill.checks import Check, Seen
from daemon.drill.desk import REACH, Desk
from daemon.drill.halts import Market, halting, level_told
from daemon.drill.limits import Given
from daemon.drill.tampering import tamper_for, warn_only
from daemon.drill.verdicts import broken, exit_passes, holding, outcome, passes, refused, within
from engine.records import Level, LimitAction

_TOO_MUCH = "the account cannot hold so much"


def forecast_limit(desk: Desk, given: Given) -> Iterator[Check]:
    """All checks of one limit."""
    tamper, least, most = tamper_for(desk, given.limit)
    if given.warning:
        yield _warning(desk, given)
    if not given.bound:
        return
    small, large = 0.5 * given.bound / most, 1.1 * given.bound / least
    if large > REACH * desk.power:
        yield desk.out_of_reach(given.title, "an order beyond it", outcome(given.code, False), _TOO_MUCH)
        return
    yield _order(desk, given, small, large)
    yield _above(desk, given, large)
    if given.halts:

        def begin() -> int:
            desk.begin(given.limit, tamper=tamper)
            return desk.lots_of(small)

        def prices() -> tuple[float, float]:
            return desk.price_at(1.5 * small), desk.price_at(min(large, REACH))

        yield from halting(desk, given, Market("it grows by the market alone", begin, prices))


def _order(desk: Desk, given: Given, small: float, large: float) -> Check:
    """A small order passes; one beyond the limit is denied, or cut."""
    tamper, *_ = tamper_for(desk, given.limit)
    cut = given.action == LimitAction.RESIZE
    seen = Seen()
    desk.begin(given.limit, tamper=tamper)
    within(seen, desk, desk.lots_of(small))
    verdict = broken(seen, desk, desk.lots_of(large), given.code, cut)
    if verdict.code == given.code and not verdict.measure > verdict.bound == given.bound:
        seen.fail(f"but the limit was taken for {verdict.bound:g}")
    return desk.check(given.title, "an order beyond it", outcome(given.code, cut), seen)


def _above(desk: Desk, given: Given, large: float) -> Check:
    """What is held is beyond the limit already: nothing is added to it, and an exit passes."""
    tamper, *_ = tamper_for(desk, given.limit)
    seen = Seen()
    desk.begin()
    holding(seen, desk, desk.lots_of(large))
    desk.change(given.limit, tamper=tamper)
    refused(seen, desk, given.code)
    exit_passes(seen, desk, desk.held // 2, fills=False)
    expected = f"{outcome(given.code, False)}; exit passes"
    return desk.check(given.title, "what is held is beyond it", expected, seen)


def _warning(desk: Desk, given: Given) -> Check:
    """An order that brings the portfolio to the warning passes, and an event tells."""
    tamper, least, _ = tamper_for(desk, given.limit)
    told = f"{given.key} warning {given.warning:g}", "an order that reaches it", "passes; an event warns"
    share = 1.1 * given.warning / least
    if share > REACH * desk.power:
        return desk.out_of_reach(*told, _TOO_MUCH)
    seen = Seen()
    desk.begin(given.limit, tamper=tamper)
    desk.change(given.limit, tamper=warn_only)
    verdict = desk.submit(desk.lots_of(share))
    passes(seen, verdict)
    level_told(seen, desk, verdict.events, given, Level.WARNING)
    return desk.check(*told, seen)
