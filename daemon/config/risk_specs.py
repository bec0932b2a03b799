"""What limits on losses, and how losses are forecast, mean to the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from daemon.config.types import ns_of

if TYPE_CHECKING:
    from daemon.config.limits import RiskLimits
    from daemon.config.risk import RiskConfig
    from engine.spec import RiskLimits as RiskLimitsSpec
    from engine.spec import RiskSpec


def risk_limits(given: RiskLimits | None) -> RiskLimitsSpec:
    """Limits of an account or a strategy of the engine; None: there are none."""
    from engine.records import LimitAction
    from engine.spec import LimitSpec
    from engine.spec import RiskLimits as RiskLimitsSpec

    limits = {name: getattr(given, name) for name in RiskLimitsSpec.__dataclass_fields__} if given else {}
    return RiskLimitsSpec(
        **{
            name: LimitSpec(limit.limit or 0.0, limit.warning or 0.0, LimitAction[limit.action.upper()])
            for name, limit in limits.items()
            if limit
        }
    )


def risk_spec(given: RiskConfig | None, seed: int) -> RiskSpec | None:
    """How the engine forecasts losses; None: it does not."""
    if given is None:
        return None
    from engine.records import Method
    from engine.spec import GradingSpec, RiskSpec, ShockSpec, WindowSpec

    grading = given.grading
    return RiskSpec(
        method=Method[given.method.upper()],
        confidence=given.confidence,
        horizon=given.horizon,
        period_ns=given.period,
        window=given.window,
        min_history=given.min_history,
        prior_volatility=given.short_history.prior_volatility or 0.0,
        decay=given.decay,
        draws=given.draws,
        seed=seed,
        windows=tuple(
            WindowSpec(s.name, ns_of(s.begin), ns_of(s.to)) for s in given.stress if s.begin and s.to
        ),
        shocks=tuple(
            ShockSpec(s.name, tuple(s.shocks.items()), s.others or 0.0) for s in given.stress if not s.begin
        ),
        grading=GradingSpec(
            methods=tuple(Method[name.upper()] for name in given.graded[1:]),
            outcomes=grading.outcomes,
            significance=grading.significance,
            tighten=grading.tighten,
        ),
    )


def of_instrument(given: RiskSpec | None, name: str) -> RiskSpec | None:
    """The same for an engine that has only this instrument: shocks name no other."""
    if given is None:
        return None
    shocks = tuple(
        replace(shock, returns=tuple((n, value) for n, value in shock.returns if n == name))
        for shock in given.shocks
    )
    return replace(given, shocks=shocks)
