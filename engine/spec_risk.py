"""What a specification says of losses: how they are forecast, what is limited, and whether that makes sense."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from math import inf

from engine.records import DAY, LimitAction, Method

TAIL_METHODS = (Method.HISTORICAL, Method.FILTERED, Method.MONTE_CARLO)
MOST_WINDOW = 100_000  # scenarios


@dataclass(frozen=True)
class LimitSpec:
    """A limit on risk: shares of equity. 0: none."""

    limit: float = 0.0
    warning: float = 0.0  # an event tells where it is reached
    action: LimitAction = LimitAction.DENY


@dataclass(frozen=True)
class RiskLimits:
    """The limits on what a portfolio may lose, or has lost: those of `Limit`."""

    var: LimitSpec = LimitSpec()
    cvar: LimitSpec = LimitSpec()
    stressed_var: LimitSpec = LimitSpec()
    drawdown: LimitSpec = LimitSpec()  # from the peak
    daily_loss: LimitSpec = LimitSpec()  # from the start of the day (UTC)

    @property
    def statistical(self) -> bool:
        """Whether any of them needs a forecast."""
        return any(given != LimitSpec() for given in (self.var, self.cvar, self.stressed_var))


NO_LIMITS = RiskLimits()


@dataclass(frozen=True)
class WindowSpec:
    """A stretch of history whose returns are scenarios of stress: rows of the risk clock that end in (start, end], ns UTC."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class ShockSpec:
    """Returns that all come at once: -0.1 is -10 %."""

    name: str
    returns: tuple[tuple[str, float], ...]  # instrument, return
    others: float = 0.0  # of all instruments that are not named


@dataclass(frozen=True)
class GradingSpec:
    """How forecasts are held against outcomes."""

    methods: tuple[Method, ...] = ()  # that are graded beside the one that limits use
    outcomes: int = (
        250  # the last so many are what an account's model is judged by; fewer are no reason to reject it
    )
    significance: float = 0.05  # of Kupiec's test at which too many exceedances reject it
    tighten: float = 1.0  # its limits on VaR and CVaR are multiplied by this until it is accepted again


@dataclass(frozen=True)
class RiskSpec:
    """How losses are forecast: docs/risk.md."""

    method: Method = Method.HISTORICAL
    confidence: float = 0.99
    horizon: int = 1  # periods
    period_ns: int = DAY
    offset_ns: int = 0  # periods end at offset + k * period
    window: int = 500  # periods
    min_history: int = 100  # returns of an instrument with which it is measured
    prior_volatility: float = 0.0  # a period's, of an instrument with fewer; 0: orders are denied then
    decay: float = 0.94  # of EWMA and FILTERED
    draws: int = 2000
    seed: int = 0
    windows: tuple[WindowSpec, ...] = ()
    shocks: tuple[ShockSpec, ...] = ()
    grading: GradingSpec = GradingSpec()


def findings(
    risk: RiskSpec | None, limits: Mapping[str, RiskLimits], instruments: set[str], trade_from: int
) -> Iterator[str]:
    """What does not make sense, in words. limits: by whose they are; instruments: all names; trade_from: ns UTC."""
    for whose, given in limits.items():
        yield from _of_limits(whose, given)
        if given.statistical and risk is None:
            yield f"{whose}: a limit on VaR needs `risk`, which says how losses are forecast"
        if given.stressed_var != LimitSpec() and risk and not (risk.windows or risk.shocks):
            yield f"{whose}: a limit on stressed VaR needs a window or a shock"
    if risk is not None:
        yield from _of_risk(risk, instruments, trade_from)


def _of_limits(whose: str, given: RiskLimits) -> Iterator[str]:
    for field in fields(given):
        limit: LimitSpec = getattr(given, field.name)
        for name, value in (("limit", limit.limit), ("warning", limit.warning)):
            if not 0.0 <= value < inf:  # a limit that is no number must not pass for one that is off
                yield f"{whose}: {field.name}: {name} of {value} is out of range; 0 switches it off"
        if 0.0 < limit.limit <= limit.warning:
            yield f"{whose}: {field.name}: the warning at {limit.warning} is not below the limit of {limit.limit}"
        if limit.action == LimitAction.RESIZE and field.name in ("drawdown", "daily_loss"):
            yield f"{whose}: {field.name}: an order's size does not change what is lost already"


def _of_risk(risk: RiskSpec, instruments: set[str], trade_from: int) -> Iterator[str]:
    grading = risk.grading
    rules = [
        ("confidence", risk.confidence, 0.5 < risk.confidence < 1.0),
        ("horizon", risk.horizon, 1 <= risk.horizon <= 10_000),
        ("period_ns", risk.period_ns, 0 < risk.period_ns < 1000 * DAY),
        ("window", risk.window, 2 <= risk.window <= MOST_WINDOW),
        ("min_history", risk.min_history, 2 <= risk.min_history <= risk.window),
        ("prior_volatility", risk.prior_volatility, 0.0 <= risk.prior_volatility < inf),
        ("decay", risk.decay, 0.0 < risk.decay < 1.0),
        ("draws", risk.draws, 2 <= risk.draws <= MOST_WINDOW),
        ("seed", risk.seed, 0 <= risk.seed < 2**64),
        ("outcomes", grading.outcomes, 1 <= grading.outcomes <= MOST_WINDOW),
        ("significance", grading.significance, 0.0 < grading.significance < 1.0),
        ("tighten", grading.tighten, 0.0 < grading.tighten <= 1.0),
    ]
    for name, value, holds in rules:
        if not holds:
            yield f"risk: {name} of {value} is out of range"
            return
    tail = 1.0 - risk.confidence
    if risk.method in TAIL_METHODS[:2] and risk.min_history * tail < 1.0 - 1e-9:
        yield f"risk: the {risk.confidence:g} quantile of {risk.min_history} returns is beyond them; min_history is too small"
    if risk.method == Method.MONTE_CARLO and risk.draws * tail < 1.0 - 1e-9:
        yield f"risk: the {risk.confidence:g} quantile of {risk.draws} draws is beyond them; draws is too small"
    names = [window.name for window in risk.windows] + [shock.name for shock in risk.shocks]
    for name in names:
        if names.count(name) > 1:
            yield f"risk: the stress {name!r} is given twice"
    for window in risk.windows:
        if not window.start < window.end:
            yield f"risk: the stress {window.name!r} ends before it begins"
        elif window.end > trade_from:
            yield f"risk: the stress {window.name!r} ends after trading begins: it would be of the future"
        elif (window.end - window.start) // risk.period_ns >= MOST_WINDOW:
            yield f"risk: the stress {window.name!r} has too many periods"
    for shock in risk.shocks:
        for name, value in (*shock.returns, ("others", shock.others)):
            if name != "others" and name not in instruments:
                yield f"risk: the stress {shock.name!r} names {name!r}, which is no instrument"
            if not -1.0 <= value < inf:
                yield f"risk: the stress {shock.name!r}: a return of {value} for {name!r} is out of range"
