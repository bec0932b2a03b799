"""What may stand in the configuration of an arena: agents and baselines on the same history, each with an account."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from daemon.config import checks
from daemon.config.accounts import Account, Limits, Margin
from daemon.config.agents import Size, Strategy
from daemon.config.base import SOME, Positive
from daemon.config.instruments import CurrencyRules
from daemon.config.market import Currencies, Market, scales, timeframe_of_data
from daemon.config.models import BacktestConfig
from daemon.config.reading import Loaded, Source, read
from daemon.config.synthetic import DAY_NS
from daemon.config.types import Currency, Duration, ExistingFolder, Name, format_duration
from daemon.config.uses import CLASSES, is_model, is_python

Baseline = Literal["buy_and_hold", "random", "sma_cross", "momentum", "rsi_reversion"]
BASELINES: tuple[Baseline, ...] = ("buy_and_hold", "random", "sma_cross", "momentum", "rsi_reversion")
_SIZE = Size(fraction=0.95)


class Agent(Strategy):
    """A strategy with an account of its own; what it leaves out is the arena's."""

    margin: Margin | None = Field(
        default=None, description="What its account may owe; null: as the arena says."
    )
    limits: Limits | None = Field(
        default=None, description="What the gate allows its account; null: as the arena says."
    )


class ArenaConfig(Market):
    """Agents and baselines side by side: the same history, the same cash, an account each."""

    name: Name = Field(
        default="arena",
        description="Names the run and the folder of its results; without it, it is named after the file.",
    )
    strategy_folder: ExistingFolder | None = Field(
        default=None,
        description="Where the modules of strategies are looked for; null: in the folder of this configuration.",
    )
    models: Path | None = Field(
        default=None,
        strict=False,
        description="Where trained models are looked for; null: in ./models of the current folder.",
    )
    cash: Positive = Field(default=100_000.0, description="What each starts with, in its currency.")
    currency: Currency = Field(
        default="USD", description="The currency of the cash and of all that is traded."
    )
    margin: Margin | None = Field(default=None, description="What each account may owe; null: cash accounts.")
    limits: Limits = Field(default=Limits(), description="What the gate allows each account.")
    timeframe: Duration = Field(
        default=None,
        validate_default=True,
        description="Bars that those decide on who name none (1m, 1h, 1d), but for models, which have their own; null: the data's.",
    )
    size: Size = Field(default=_SIZE, description="How much those buy who name none, but for models.")
    agents: Annotated[tuple[Agent, ...], *SOME] = Field(
        description="Who trades; without instruments, all that there are data of."
    )
    baselines: Annotated[tuple[Baseline, ...], Field(strict=False)] = Field(
        default=BASELINES, description="Who trades beside them, to compare with; []: nobody."
    )
    currencies: Currencies = Field(default={})

    @field_validator("timeframe", mode="before")
    @classmethod
    def _bars_of_data(cls, given: Any, info: ValidationInfo) -> Any:
        return timeframe_of_data(given, info)

    @field_validator("agents", mode="before")
    @classmethod
    def _filled(cls, given: Any, info: ValidationInfo) -> Any:
        if not isinstance(given, list):
            return given  # which is refused
        # where the arena's own part is wrong, that is said, and anything will do in its place
        traded = tuple(dict.fromkeys(d.instrument for d in info.data.get("data", ()))) or ("none",)
        timeframe, size = info.data.get("timeframe", DAY_NS), info.data.get("size", _SIZE)
        return [
            {**_usual(agent.get("use"), traded, timeframe, size), **agent}
            if isinstance(agent, dict)
            else agent
            for agent in given
        ]

    @field_validator("agents")
    @classmethod
    def _named(cls, agents: tuple[Agent, ...]) -> tuple[Agent, ...]:
        checks.refuse(checks.names("agent", agents))
        return checks.named(agents)

    @field_validator("currencies")
    @classmethod
    def _usual_scales(cls, given: dict[str, CurrencyRules], info: ValidationInfo) -> dict[str, CurrencyRules]:
        return scales(given, [info.data["currency"]] if "currency" in info.data else [])

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(_relocated(self.agents, checks.backtest(self.backtest)))
        return self

    @cached_property
    def backtest(self) -> BacktestConfig:
        """The backtest that it is: an account for each agent, then one for each baseline."""
        shared = {
            key: getattr(self, key) for key in BacktestConfig.model_fields if key in type(self).model_fields
        }
        agents = checks.named((*self.agents, *map(self._baseline, self.baselines)))
        accounts = tuple(map(self._account, agents))
        return BacktestConfig.model_construct(**shared, accounts=accounts)  # of parts that are right already

    def _baseline(self, use: Baseline) -> Agent:
        usual = _usual(use, self.traded, self.timeframe, self.size)
        params = {} if "size" in usual else self.size.model_dump(exclude_none=True)
        return Agent.model_validate({"use": use, "params": params, **usual})

    def _account(self, agent: Agent) -> Account:
        assert agent.name  # given by now
        return Account(
            name=agent.name,
            cash=self.cash,
            currency=self.currency,
            margin=agent.margin or self.margin,
            limits=agent.limits or self.limits,
            strategies=(Strategy.model_construct(**_but_limits(agent)),),
        )


def _usual(use: Any, traded: tuple[str, ...], timeframe: int, size: Size) -> dict[str, Any]:
    """What an agent has that names none of it: the parts of the arena that are for its kind."""
    usual: dict[str, Any] = {"instruments": traded}
    if isinstance(use, str) and not is_model(use):
        usual["timeframe"] = format_duration(timeframe)
        if not is_python(CLASSES.get(use, use)):
            usual["size"] = size
    return usual


def _but_limits(agent: Agent) -> dict[str, Any]:
    """What an agent is as a strategy; its limits are those of its account."""
    return {key: getattr(agent, key) for key in Strategy.model_fields if key != "limits"} | {"limits": None}


def _relocated(agents: Sequence[Agent], findings: Iterable[checks.Finding]) -> Iterator[checks.Finding]:
    """What is wrong with the backtest, at the keys of the arena; what baselines share with agents is said of these."""
    of_baselines: list[checks.Finding] = []
    others: list[checks.Finding] = []
    for keys, said in findings:
        match keys:
            case ("accounts", int(), "cash"):
                others.append((("cash",), said))
            case ("accounts", int(i), "limits", *rest) if i >= len(agents) or not agents[i].limits:
                others.append((("limits", *rest), said))
            case ("accounts", int(i), "strategies", int(), *rest) if i < len(agents):
                others.append((("agents", i, *rest), said))
            case ("accounts", int(i), *rest) if i < len(agents):
                others.append((("agents", i, *rest), said))
            case ("accounts", int(), "strategies", int(), ("timeframe" | "size") as key, *rest):
                of_baselines.append(((key, *rest), said))  # which a baseline has of the arena
            case ("accounts", int(i), *_):
                of_baselines.append((("baselines", i - len(agents)), said))
            case _:
                others.append((keys, said))
    yield from dict.fromkeys(others or of_baselines)


LoadedArena = Loaded[ArenaConfig]


def load_arena(source: Source, overrides: Sequence[str] = ()) -> LoadedArena:
    """The configuration of an arena, of a YAML file or a dict, with overrides; raises as `read` does."""
    return read(ArenaConfig, source, overrides)
