"""What has to fit together in the risk of a configuration: limits and forecasts, stress and history, operators and accounts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

from daemon.config.limits import STATISTICAL
from daemon.config.types import format_duration

if TYPE_CHECKING:
    from daemon.config.accounts import Account
    from daemon.config.checks import Finding
    from daemon.config.limits import RiskLimits
    from daemon.config.market import Market
    from daemon.config.models import BacktestConfig
    from daemon.config.operator import Operation
    from daemon.config.risk import RiskConfig, Stress

_FORECASTS = "risk: {method: historical, confidence: 0.99}"
_STRESS = "risk: {stress: [{name: crash, others: -0.2}]}"


def stress(config: Market) -> Iterator[Finding]:
    """Stress is of instruments that there are, and of the past."""
    for i, given in enumerate(config.risk.stress if config.risk else ()):
        yield from ((("risk", "stress", i, *keys), message) for keys, message in _stress(config, given))


def period(config: Market) -> Iterator[Finding]:
    """A period holds whole bars: of a part of one only the open is known, and returns would be of anything but a period."""
    for data in config.data:
        if config.risk and data.bar and config.risk.period % data.bar:
            bar = format_duration(data.bar)
            told = f"is {format_duration(config.risk.period)}, and ends within bars of {data.instrument}, which last {bar}"
            yield ("risk", "period"), f"{told}; write {bar}, or a multiple of it"
            return


def accounts(config: BacktestConfig) -> Iterator[Finding]:
    """Limits have the forecasts that they need, and operators act on what is there, while it runs."""
    for a, account in enumerate(config.accounts):
        at = ("accounts", a)
        yield from (((*at, *keys), message) for keys, message in limits(account.limits, config.risk))
        for s, strategy in enumerate(account.strategies):
            if strategy.limits:
                found = limits(strategy.limits, config.risk)
                yield from (((*at, "strategies", s, *keys), message) for keys, message in found)
        for o, operation in enumerate(account.operator):
            found = _operation(config, account, operation)
            yield from (((*at, "operator", o, *keys), message) for keys, message in found)


def limits(given: RiskLimits, risk: RiskConfig | None) -> Iterator[Finding]:
    """A limit on a forecast has one."""
    for key in STATISTICAL:
        if getattr(given, key) is None:
            continue
        if risk is None:
            said = "is held against a forecast, and nothing says how one is made"
            yield (
                ("limits", key),
                f"{said}; add at the top: {_STRESS if key == 'stressed_var' else _FORECASTS}",
            )
        elif key == "stressed_var" and not risk.stress:
            yield (
                ("limits", key),
                f"is of the stress that there is none of; add to risk at the top: {_STRESS[7:-1]}",
            )


def _stress(config: Market, given: Stress) -> Iterator[Finding]:
    """Shocks are of instruments that there are, and a stretch of history is one that can be known."""
    for name in given.shocks:
        if name not in config.instruments:
            near = get_close_matches(name, config.instruments, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(config.instruments)}"
            yield ("shocks", name), f"nothing is known of {name!r}; {hint}"
    if not (given.begin and given.to):
        return
    if not config.start:
        hint = "else it would tell the first decisions of what comes later; add start"
        yield ("to",), f"needs a start, before which it ends: {hint}"
    elif given.to > config.start:
        start = f"{config.start:%Y-%m-%d %H:%M}"
        yield (
            ("to",),
            f"is after start, {start}: decisions would know of what comes later; choose an earlier time",
        )
    elif config.warmup and given.begin <= (
        read := config.start - timedelta(microseconds=config.warmup // 1000)
    ):
        hint = "choose a longer warmup, or a later time"
        yield (
            ("from",),
            f"is not after the begin of what is read: warmup reaches back to {read:%Y-%m-%d %H:%M}; {hint}",
        )


def _operation(config: BacktestConfig, account: Account, given: Operation) -> Iterator[Finding]:
    """It is done while the run lasts, to a strategy of the account."""
    if config.start and given.at < config.start:
        yield (
            ("at",),
            f"is before start, {config.start:%Y-%m-%d %H:%M}, when nobody trades; choose a later time",
        )
    if config.end and given.at >= config.end:
        yield ("at",), f"is not before end, {config.end:%Y-%m-%d %H:%M}; choose an earlier time, or remove it"
    names = [s.name for s in account.strategies if s.name]
    if given.strategy is not None and given.strategy not in names:
        near = get_close_matches(given.strategy, names, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
        yield ("strategy",), f"{account.name} has no strategy {given.strategy!r}; {hint}"
