"""What may stand in the configuration of a backtest: its keys, their types, their defaults and what they mean.

Values are judged one by one here; what has to fit together is judged in ``checks.py``. A model is filled with its
defaults while it is made (parameters of a rule, names of strategies, the sample's instruments), so that a
configuration, once read, holds everything that a run depends on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from daemon.config import checks
from daemon.config.accounts import Account
from daemon.config.actors import ActorConfig
from daemon.config.base import SOME
from daemon.config.instruments import CurrencyRules
from daemon.config.market import Currencies, Market, scales
from daemon.config.types import ExistingFolder


class BacktestConfig(Market):
    """A backtest: which history is replayed, to whom, with what money, under which rules."""

    strategy_folder: ExistingFolder | None = Field(
        default=None,
        description="Where the modules of strategies are looked for; null: in the folder of this configuration.",
    )
    models: Path | None = Field(
        default=None,
        strict=False,
        description="Where trained models are looked for; null: in ./models of the current folder.",
    )
    accounts: Annotated[tuple[Account, ...], *SOME] = Field(description="Who trades.")
    actors: Annotated[tuple[ActorConfig, ...], Field(strict=False)] = Field(
        default=(), description="Slow classes of yours beside the engine, whose signals strategies listen to."
    )
    currencies: Currencies = Field(default={})

    @field_validator("currencies")
    @classmethod
    def _usual_scales(cls, given: dict[str, CurrencyRules], info: ValidationInfo) -> dict[str, CurrencyRules]:
        return scales(given, (a.currency for a in info.data.get("accounts", ())))

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(checks.backtest(self))
        return self
