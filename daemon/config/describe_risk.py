"""Limits, forecasts of loss and what operators do, in lines for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.config.types import format_duration

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from daemon.config.limits import RiskLimits
    from daemon.config.market import Market
    from daemon.config.operator import Operation
    from daemon.config.risk import Stress


def risk(config: Market, traded: Collection[str], limits: Sequence[RiskLimits]) -> Iterator[str]:
    """How losses are forecast, and whether there is history enough. Raises DataError where data cannot be read.

    traded: instruments; limits: all that anybody has.
    """
    given = config.risk
    if given is None:
        return
    from daemon.config.risk_history import lines

    horizon = format_duration(given.period * given.horizon)
    yield f"  risk: {given.method}, {100 * given.confidence:g}% over {horizon}; graded: {', '.join(given.graded)}"
    for stress in given.stress:
        yield f"    stress: {_stress(stress)}"
    yield from (f"    {line}" for line in lines(config, traded, limits))


def limits(given: RiskLimits | None) -> str:
    """What the limits are, in one line; empty where there are none."""
    set_ = given.model_dump(mode="json", exclude_defaults=True) if given else {}
    return ", ".join(_limit(key, getattr(given, key), text) for key, text in set_.items())


def operation(given: Operation) -> str:
    """What an operator does, when, to what and why."""
    whom = f" of {given.strategy}" if given.strategy else ""
    return f"operator: {given.do}{whom} at {given.at:%Y-%m-%d %H:%M}: {given.reason}"


def _limit(key: str, given: object, text: object) -> str:
    from daemon.config.accounts import OrderRate
    from daemon.config.limits import ForecastLimit, LossLimit

    if isinstance(given, OrderRate):
        return f"{key} {given.orders} per {format_duration(given.per)}"
    if not isinstance(given, ForecastLimit | LossLimit):
        return f"{key} {text}"
    warning = f"warns at {100 * given.warning:g}%" if given.warning else ""
    if not given.limit:
        return f"{key} {warning}"
    return f"{key} {100 * given.limit:g}% ({', '.join(x for x in (given.action, warning) if x)})"


def _stress(given: Stress) -> str:
    if given.begin and given.to:
        return f"{given.name}, {given.begin:%Y-%m-%d} to {given.to:%Y-%m-%d}"
    shocks = [f"{name} {100 * shock:+g}%" for name, shock in given.shocks.items()]
    others = [f"others {100 * given.others:+g}%"] if given.others else []
    return f"{given.name}, {', '.join(shocks + others)}"
