"""A trained model in a configuration: its card says on which bars it decides, what it does, and how much."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.config.timeframes import format_timeframe, parse_timeframe
from daemon.config.types import format_duration
from daemon.config.uses import MODEL, is_model

if TYPE_CHECKING:
    from daemon.config.accounts import Account
    from daemon.config.agents import Strategy
    from daemon.config.checks import Finding
    from daemon.config.models import BacktestConfig
    from strategies.models import LoadedModel

MODELS = Path("models")  # where nothing is said


def found(use: str, folder: Path | None) -> LoadedModel:
    """The model that `model:NAME` (the promoted one), `model:NAME@VERSION` or `model:NAME@latest` means.

    Raises ValueError where there is none that can be used.
    """
    from strategies.errors import RegistryError
    from strategies.models import Registry

    try:
        return Registry(folder or MODELS).load(use.removeprefix(MODEL))
    except RegistryError as error:
        raise ValueError(str(error)) from error


def learned_from(config: BacktestConfig) -> Iterator[str]:
    """A sentence for each model of a run that was trained, or chosen, on days which the run replays."""
    for strategy in (s for account in config.accounts for s in account.strategies if is_model(s.use)):
        card = found(strategy.use, config.models).card
        spans: Any = card.spans
        if not {"train", "test"} <= spans.keys() or not set(strategy.instruments) & set(card.instruments):
            continue
        begun, judged = (datetime.fromisoformat(spans[name]["start"]) for name in ("train", "test"))
        if (config.start is None or config.start < judged) and (config.end is None or begun < config.end):
            yield (
                f"{strategy.use} has learned from days before {judged:%Y-%m-%d}, which are in this run: "
                f"what it earned there says nothing; start: {judged:%Y-%m-%d} leaves them out"
            )


def timeframe(given: Any, use: str, folder: Path | None) -> Any:
    """The model's own timeframe where none is given. Raises ValueError for another one."""
    own = found(use, folder).card.timeframe_ns
    if given is None:
        return format_duration(own)
    wanted = parse_timeframe(given)
    if wanted != own:
        raise ValueError(
            f"is {format_timeframe(wanted)}, and {use} decides on bars of {format_duration(own)}; "
            "write that, remove it, or train another model"
        )
    return given


def size(given: Any, use: str, folder: Path | None) -> Any:
    """The model's own size where none is given."""
    if given is not None:
        return given
    own = found(use, folder).card.actions.size
    return {"fraction": own.fraction} if own.units is None else {"units": own.units}


def misfits(account: Account, given: Strategy, folder: Path | None) -> Iterator[Finding]:
    """Where a model sees something else than it is said to, or does what its account or its size has no room for."""
    from strategies.errors import RegistryError
    from strategies.models import check_fits

    card = found(given.use, folder).card
    actions = card.actions
    if given.features:
        try:
            check_fits(card, given.features)
        except RegistryError as error:
            yield ("features",), str(error)
    if actions.short and not account.margin:
        yield (
            ("use",),
            (
                f"{given.use} sells short, which the cash account {account.name!r} does not allow; "
                "give the account margin: {leverage: 1}"
            ),
        )
    if actions.kind == "target" and given.size and given.size.units:
        yield (
            ("size", "units"),
            f"{given.use} wants a share of equity; write fraction, or leave the model its own",
        )
