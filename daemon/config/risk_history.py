"""How much history there is for forecasts of loss when trading begins, and what is missing of it, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from daemon.calendars import ALWAYS, sessions
from daemon.config.risk import FEWEST
from daemon.config.spec import calendar_key, sources
from daemon.config.types import format_duration, ns_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from daemon.config.limits import RiskLimits
    from daemon.config.market import Market
    from daemon.config.risk import RiskConfig, Stress

_DAY = 86_400 * 10**9
_MOST_DAYS = 36_500  # of a warmup


def first_rows(config: Market) -> dict[str, int]:
    """Instrument -> when its data begin, ns UTC. Raises DataError where they cannot be read."""
    from daemon.data.feed import MIN_BLOCK_ROWS, open_stream

    found: dict[str, int] = {}
    for source in sources(config):
        stream = open_stream([replace(source, start=None, end=None)])
        starts, _ = next(stream.columns(MIN_BLOCK_ROWS))
        found[source.name] = min(int(starts[0]), found.get(source.name, int(starts[0])))
    return found


def periods(calendar: str, whole_days: bool, period: int, begin: int, end: int) -> int:
    """Periods that end in (begin, end], ns UTC, in which the market was open after begin; of 24/7 all of them."""
    import numpy as np

    if calendar == ALWAYS:
        return max(0, end // period - begin // period)
    opened = sessions(calendar, whole_days)
    after = opened.closes > begin
    # a period has the index k where it ends at (k + 1) * period
    first = np.maximum(opened.opens[after], begin) // period
    last = (opened.closes[after] - 1) // period
    first[1:] = np.maximum(first[1:], last[:-1] + 1)  # two sessions may share one
    return int(np.maximum(np.minimum(last, end // period - 1) - first + 1, 0).sum())


def lines(config: Market, traded: Collection[str], limits: Sequence[RiskLimits]) -> Iterator[str]:
    """How much history is there when trading begins, and what is to be done where it is too little.

    traded: instruments; limits: all that anybody has. Raises DataError where the data cannot be read.
    """
    risk = config.risk
    if risk is None:
        return
    first = first_rows(config)
    calendars = {
        (config.instruments[name].calendar, calendar_key(config.instruments[name].calendar, bar))
        for name, bar in config.bars.items()
    }

    def rows(begin: int, end: int) -> int:
        """Of the clock. It waits for all: the market that opens least often decides."""
        return min(periods(name, key != name, risk.period, begin, end) for name, key in calendars)

    def returns(begin: int) -> int:
        """When trading begins, of what has prices from begin on: the first row gives a price, and no return yet."""
        return max(0, rows(begin, start) - 1)

    start = ns_of(config.start) if config.start else min(first.values())
    # what a live session has no data of begins with it
    first |= {name: start for name in config.bars if name not in first}
    read = start - config.warmup if config.warmup else min(first.values())
    begins = {name: max(first[name], read) for name in first if name in traded}
    have = {name: returns(begin) for name, begin in begins.items()}
    least, most = min(have.values()), max(have.values())
    told = f"{least}" if least == most else f"{least} to {most}"
    what = f"returns over {format_duration(risk.period)}"
    yield f"history: about {told} {what} when trading begins; {risk.min_history} are needed, {risk.window} fill the window"
    effect = _effect(limits, risk, ("var", "cvar"))
    for name, n in have.items():
        if n < risk.min_history:
            hint = _hint(config, first[name], start, lambda begin: returns(begin) >= risk.min_history)
            yield f"warning: {name} has about {n} of {risk.min_history} {what} when trading begins: until then {effect}; {hint}"
    effect = _effect(limits, risk, ("stressed_var",))
    for stress in risk.stress:
        yield from (
            f"warning: {said}: {effect}; choose another stretch" for said in _gaps(stress, begins, rows)
        )


def _gaps(given: Stress, begins: dict[str, int], rows: Callable[[int, int], int]) -> Iterator[str]:
    """What is missing of a stretch of history: an instrument needs a return in each of its rows, and so a price before."""
    if not (given.begin and given.to):
        return
    begin, end = ns_of(given.begin), ns_of(given.to)
    n = rows(begin, end)
    for name, first in begins.items():
        if n < FEWEST:
            yield f"{given.name} has about {n} returns of {name}, and {FEWEST} are needed"
        elif not rows(first, begin):
            yield f"{given.name} begins on {_day(begin)}, and {name} is read from {_day(first)} on"


def _effect(limits: Sequence[RiskLimits], risk: RiskConfig, keys: Sequence[str]) -> str:
    if not any(getattr(given, key) for given in limits for key in keys):
        return "nothing is forecast of a portfolio that holds it"
    if prior := risk.short_history.prior_volatility:
        return f"it counts with a volatility of {100 * prior:g}%"
    return "orders of a portfolio that holds it, or would, are denied, but for exits"


def _hint(config: Market, first: int, start: int, enough: Callable[[int], bool]) -> str:
    """What to change, so that there is enough."""
    if not config.start:
        return "give a start, before which history is built up"
    if first >= start:
        return "give it a history under data, or write short_history: {prior_volatility: 0.03}"
    if not enough(first):
        return f"its data begin on {_day(first)}: choose a later start, or short_history: {{prior_volatility: 0.03}}"
    few, many = 0, _MOST_DAYS
    while many - few > 1:
        days = (few + many) // 2
        few, many = (few, days) if enough(start - days * _DAY) else (days, many)
    return f"write warmup: {many}d or more"


def _day(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%d}"
