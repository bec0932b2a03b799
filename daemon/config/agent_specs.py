"""What the accounts and strategies of a configuration mean to the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from daemon.config.checks import not_multiple
from daemon.config.risk_specs import risk_limits
from daemon.config.timeframes import Cut, in_ns, split_feature
from daemon.config.types import parse_duration

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.config.accounts import Account, Limits, Margin
    from daemon.config.agents import Size, Strategy
    from engine.spec import AccountSpec, LimitsSpec, MarginSpec, StrategySpec
    from strategies.actor import PythonActor


def account_spec(given: Account) -> AccountSpec:
    """An account of the engine."""
    from engine.spec import AccountSpec

    limits, margin = limits_spec(given.limits), margin_spec(given.margin)
    return AccountSpec(given.name, given.cash, given.currency, limits, margin)


def margin_spec(given: Margin | None) -> MarginSpec | None:
    """What an account of the engine may owe."""
    from engine.spec import MarginSpec

    return MarginSpec(**given.model_dump()) if given else None


def limits_spec(given: Limits) -> LimitsSpec:
    """What the gate allows an account of the engine."""
    from engine.spec import LimitsSpec

    return LimitsSpec(
        max_order_notional=given.max_order_notional or 0.0,
        max_position=given.max_position or 0.0,
        max_gross=given.max_gross_exposure or 0.0,
        max_net=given.max_net_exposure or 0.0,
        max_concentration=given.max_concentration or 0.0,
        collar=given.price_collar or 0.0,
        max_stale_ns=given.max_price_age or 0,
        rate_orders=given.order_rate.orders if given.order_rate else 0,
        rate_window_ns=given.order_rate.per if given.order_rate else 0,
        resize=given.on_breach == "resize",
        risk=risk_limits(given),
    )


def rule_spec(name: str, account: Account, given: Strategy) -> StrategySpec:
    """A strategy of the engine that decides by a rule that comes with Papertape."""
    from engine.spec import StrategySpec
    from strategies.rules import RULES

    rule = RULES[given.use]
    params = rule.Params.model_validate(given.params)
    return StrategySpec(
        **_common(name, account, given),
        **_size(given),
        features=rule.features(params),
        policy=rule.policy,
        params=rule.policy_params(params),
    )


def model_spec(name: str, account: Account, given: Strategy, folder: Path | None) -> StrategySpec:
    """A strategy of the engine that decides by a trained model, out of the folder of models."""
    from daemon.config.trained import found
    from engine.models import QTable
    from engine.policies import Policy
    from engine.spec import StrategySpec

    loaded = found(given.use, folder)
    return StrategySpec(
        **_common(name, account, given),
        **_size(given),
        features=tuple(in_ns(feature) for feature in loaded.card.features),
        policy=Policy.Q_TABLE if isinstance(loaded.model, QTable) else Policy.NETWORK,
        model=loaded.model,
        short=loaded.card.actions.short,
        threshold=loaded.card.actions.threshold,
    )


def class_spec(
    name: str, account: Account, given: Strategy, actor: PythonActor, bars: Mapping[str, int]
) -> StrategySpec:
    """A strategy of the engine that is asked in Python; the actor hears what the configuration adds to its class.

    bars: instrument -> how long its data's bars last, in ns. Raises StrategyLoadError where the class wants bars that
    cannot be made of these.
    """
    from engine.spec import StrategySpec

    _check_timeframes(name, given, actor, bars)
    # as they are written, what it wants itself first; the engine has the same in ns, in the same order
    actor.features = tuple(dict.fromkeys((*actor.features, *given.features)))
    actor.timeframes = tuple(dict.fromkeys((*actor.timeframes, *given.timeframes)))
    actor.history = given.history or actor.history
    actor.signals = given.signals
    return StrategySpec(
        **_common(name, account, given),
        features=tuple(in_ns(feature) for feature in actor.features),
        wants=actor.wants,
        history=actor.history,
        also=tuple(parse_duration(text) for text in actor.timeframes),
    )


def _size(given: Strategy) -> dict[str, Any]:
    assert given.size  # a rule or a model has one: checks.py
    return size_of(given.size)


def size_of(given: Size) -> dict[str, Any]:
    """A size as the engine's strategies have it."""
    from engine.records import SizeKind

    if given.units is None:
        return {"size_kind": SizeKind.FRACTION, "size_value": given.fraction}
    return {"size_kind": SizeKind.UNITS, "size_value": given.units}


def _common(name: str, account: Account, given: Strategy) -> dict[str, Any]:
    from engine.records import BarKind

    common: dict[str, Any] = {
        "name": name,
        "account": account.name,
        "instruments": given.instruments,
        "cancel_on_disconnect": given.cancel_on_disconnect,
        "limits": risk_limits(given.limits),
    }
    if isinstance(given.timeframe, Cut):
        kind = BarKind[given.timeframe.kind.upper()]
        return {**common, "timeframe_ns": 0, "bar_kind": kind, "bar_size": given.timeframe.size}
    return {**common, "timeframe_ns": given.timeframe}


def _check_timeframes(name: str, given: Strategy, actor: PythonActor, bars: Mapping[str, int]) -> None:
    from strategies.errors import StrategyLoadError

    wanted = [*actor.timeframes, *(split_feature(feature)[1] for feature in actor.features)]
    for text in filter(None, wanted):
        try:
            ns = parse_duration(text)
        except ValueError as error:
            raise StrategyLoadError(f"strategy {name!r}: {error}") from None
        for instrument in given.instruments:
            if bars[instrument] and ns % bars[instrument]:
                raise StrategyLoadError(
                    f"strategy {name!r}: {not_multiple(instrument, bars[instrument], ns)}; its class asks for it"
                )
