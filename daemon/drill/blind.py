"""What is held cannot be measured: then no order may pass that could add to it, and exits pass all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from daemon.drill.checks import Check, Seen
from daemon.drill.desk import FORECASTS, Desk, rows
from daemon.drill.faults import never_stale, stale_at
from daemon.drill.limits import Given
from daemon.drill.tampering import nan_scenario
from daemon.drill.verdicts import denial, exit_passes, holding, refused
from engine.records import NEVER, NONE, Code, Limit, Ticks

if TYPE_CHECKING:
    from daemon.config.risk import RiskConfig

_Told = tuple[str, str, str]
_NAN: _Told = "nan in the scenarios", "a return of what is held is nan", "denied: NOT_FINITE; exit passes"
_FLAT: _Told = "singular covariance", "what is held never moves", "denied: SINGULAR; exit passes"
_SHORT: _Told = "short history", "its first print was just now", "denied: HISTORY"
_STALE: _Told = "stale mark", "another prints, what is held does not", "denied: PRICE_STALE"
_BY_PRIOR = "counts by prior volatility; exit passes"


def blind(desk: Desk, limits: Sequence[Given]) -> Iterator[Check]:
    """All of them, as far as the portfolio's limits look at what cannot be seen."""
    risk = desk.risk
    forecasts = {given.limit for given in limits if given.limit in FORECASTS}
    if not forecasts or risk is None:
        for told in (_NAN, _FLAT, _SHORT, _STALE):
            yield desk.not_configured(*told, "no limit on VaR, CVaR or stressed VaR")
        return

    def stand_still(desk: Desk) -> None:
        desk.take(flat(desk, risk))

    yield _unmeasured(desk, _NAN, Code.NOT_FINITE, _put_nan)
    by_prior = bool(risk.short_history.prior_volatility)
    returns = bool(forecasts - {Limit.STRESSED_VAR})
    if not returns:
        yield desk.not_configured(*_FLAT, "no limit on VaR or CVaR")
    elif desk.engine.now + (risk.window + 3) * risk.period > NEVER // 2:
        yield desk.out_of_reach(*_FLAT, "the window is too long")
    elif by_prior:
        yield _counted(desk, risk, _FLAT, stand_still, True)
    else:
        yield _unmeasured(desk, _FLAT, Code.SINGULAR, stand_still)
    if not returns and not any(stress.begin for stress in risk.stress):
        yield desk.not_configured(*_SHORT, "shocks need no history")
    elif by_prior:
        yield _counted(desk, risk, _SHORT, None, returns)
    else:
        yield short_history(desk)
    yield stale_mark(desk)


def _put_nan(desk: Desk) -> None:
    desk.change(*FORECASTS, tamper=nan_scenario(desk))


def _unmeasured(desk: Desk, told: _Told, code: Code, inject: Callable[[Desk], object]) -> Check:
    seen = Seen()
    desk.begin(*FORECASTS)
    holding(seen, desk, desk.small)
    inject(desk)
    refused(seen, desk, code)
    exit_passes(seen, desk, desk.small)
    return desk.check(*told, seen)


def _counted(
    desk: Desk, risk: RiskConfig, told: _Told, inject: Callable[[Desk], object] | None, returns: bool
) -> Check:
    """What is held must be measured by its prior volatility, though its history says nothing."""
    seen = Seen()
    if inject is None:
        desk.begin(state=desk.fresh)
        desk.take(first_prints(desk))
    else:
        desk.begin()
    holding(seen, desk, desk.small)
    if inject:
        inject(desk)
    desk.change(*FORECASTS)
    value = desk.worth(desk.held)
    prior = risk.short_history.prior_volatility or 0.0
    least = value * prior * NormalDist().inv_cdf(risk.confidence) * sqrt(risk.horizon)
    found = desk.engine.measure(desk.name)
    loss = found.var if returns else found.stressed_var
    seen.note(
        found.code == Code.NONE and loss >= least * (1.0 - 1e-9) > 0.0,
        f"it may lose {loss / value:.2%}" if value else "",
        f"but it may lose {loss / desk.scale:g}, where it must be {least / desk.scale:g} at least",
    )
    exit_passes(seen, desk, desk.small)
    return desk.check(told[0], told[1], _BY_PRIOR, seen)


def short_history(desk: Desk) -> Check:
    """What has just begun to trade says nothing about what it may lose."""
    seen = Seen()
    desk.begin(*FORECASTS, state=desk.fresh)
    desk.take(first_prints(desk))
    refused(seen, desk, Code.HISTORY)
    return desk.check(*_SHORT, seen)


def stale_mark(desk: Desk) -> Check:
    """What is held cannot be measured by a price that is too old, though what is bought has a fresh one."""
    other = _other_slot(desk)
    if unasked := never_stale(desk, _STALE):
        return unasked
    if other == NONE:
        return desk.out_of_reach(*_STALE, f"it trades {desk.instrument.name} only")
    seen = Seen()
    desk.begin("max_stale_ns", *FORECASTS)
    holding(seen, desk, desk.small)
    k = int(desk.engine.state.slots[other].instrument)
    desk.take(rows((stale_at(desk), k, float(desk.engine.state.instruments[k].price))))
    lots = max(desk.engine.spec.instruments[k].min_lots, 1)
    denial(seen, desk.submit(lots, slot=other), Code.PRICE_STALE)
    return desk.check(*_STALE, seen)


def first_prints(desk: Desk) -> Ticks:
    """A print of each instrument, at the price that it has at the base."""
    prices = desk.base.arrays["instruments"]["price"]
    return rows(*((desk.later, k, float(price)) for k, price in enumerate(prices) if price > 0.0))


def flat(desk: Desk, risk: RiskConfig) -> Ticks:
    """Rows in which nothing moves, through as many periods of the risk clock as its window has."""
    prices = [
        (k, float(i.price))
        for k, i in enumerate(desk.engine.state.instruments)
        if i.price > 0.0 and not i.delisted
    ]
    first = desk.engine.now // risk.period + 1
    ends = ((first + n) * risk.period for n in range(risk.window + 2))
    return rows(*((end, k, price) for end in ends for k, price in prices))


def _other_slot(desk: Desk) -> int:
    """A slot of the same strategy in another instrument that has a price; NONE where it trades no other."""
    desk.begin()
    s = desk.engine.state
    for i, slot in enumerate(s.slots):
        instrument = s.instruments[slot.instrument]
        if slot.strategy == desk.strategy and slot.instrument != desk.k and instrument.price > 0.0:
            if not instrument.delisted:
                return i
    return NONE
