"""What may stand in the configuration of a training: on which history, for what reward, by which algorithm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from daemon.config import checks, risk_checks
from daemon.config.accounts import Limits, Margin
from daemon.config.base import Model, Positive
from daemon.config.instruments import CurrencyRules
from daemon.config.learning import (
    PARAMS,
    ActionsOrWord,
    Algorithm,
    Evaluation,
    PpoParams,
    QLearningParams,
    RewardOrWord,
    Spans,
)
from daemon.config.market import Currencies, Market, scales, timeframe_of_data
from daemon.config.reading import Loaded, Source, read
from daemon.config.timeframes import split_feature
from daemon.config.translate import validated
from daemon.config.types import Currency, Duration, Name, parse_duration

_NAME = 64  # characters that the name of a model has at most: it is a folder's, with others behind it
FeatureSet = Literal["default", "classic"]
_Count = Annotated[int, Field(gt=0, le=10**12)]


class TrainingAccount(Model):
    """The account that each episode begins with; it trades one instrument."""

    cash: Positive = Field(default=100_000.0, description="What it starts with, in its currency.")
    currency: Currency = Field(
        default="USD", description="The currency of its cash and of all that it trades."
    )
    margin: Margin | None = Field(default=None, description="What it may owe; null: a cash account.")
    limits: Limits = Field(default=Limits(), description="What the gate allows it.")


class TrainingConfig(Market):
    """A training: an agent learns on the first part of a history, is chosen on the next and judged on the last."""

    name: Name = Field(
        default="training", description="Names the model; without it, it is named after the file."
    )
    models: Path | None = Field(
        default=None,
        strict=False,
        description="The folder that the trained model goes into; null: ./models of the current folder.",
    )
    account: TrainingAccount = Field(default=TrainingAccount(), description="What each episode begins with.")
    algorithm: Algorithm = Field(description="qlearning: a table; ppo: a neural network.")
    timeframe: Duration = Field(
        default=None,
        validate_default=True,
        description="It decides at the close of each bar of this length (1m, 1h, 1d); null: the data's.",
    )
    features: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default="default",
        validate_default=True,
        description="What it sees: a list such as [log_return, rsi_14, exposure]; default: a set that means the same "
        "at any price; classic: balance, holdings, close, rsi_14, sma_20, macd.",
    )
    actions: ActionsOrWord = Field(
        default="discrete",
        validate_default=True,
        description="What it can do: discrete, target, or with more said: {kind: target, size: {fraction: 0.95}}.",
    )
    reward: RewardOrWord = Field(
        default="log_return",
        validate_default=True,
        description="What it earns: profit, log_return, differential_sharpe, or with more said: {kind: profit, cost_penalty: 1}.",
    )
    spans: Spans = Field(default=Spans(), description="How the history is cut, in the order of time.")
    steps: _Count | None = Field(
        default=None, description="Bars that it trains on, of all lanes together; or give episodes."
    )
    episodes: _Count | None = Field(default=None, description="Episodes that it trains on; or give steps.")
    episode_bars: Annotated[int, Field(ge=2, le=10**9)] | None = Field(
        default=None,
        description="How long an episode is, which then begins anywhere; null: to the end of the span.",
    )
    ruin: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.1, description="An episode ends where equity falls to this share of what it began with."
    )
    params: dict[str, Any] = Field(
        default={}, validate_default=True, description="The algorithm's own parameters."
    )
    evaluation: Evaluation = Field(default=Evaluation(), description="How it is judged in the end.")
    currencies: Currencies = Field(default={})

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        if len(name) > _NAME:
            raise ValueError(f"{name!r} is too long for the name of a model; use at most {_NAME} characters")
        return name

    @field_validator("timeframe", mode="before")
    @classmethod
    def _bars_of_data(cls, given: Any, info: ValidationInfo) -> Any:
        return timeframe_of_data(given, info)

    @field_validator("features", mode="before", json_schema_input_type=FeatureSet | tuple[str, ...])
    @classmethod
    def _set(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        if given not in get_args(FeatureSet):
            sets = ", ".join(get_args(FeatureSet))
            raise ValueError(f"is {given!r}; write {sets}, or a list such as [rsi_14, exposure]")
        from envs.task import CLASSIC_FEATURES, DEFAULT_FEATURES

        return DEFAULT_FEATURES if given == "default" else CLASSIC_FEATURES

    @field_validator("features")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        checks.refuse(_features(names))
        return names

    @field_validator("params")
    @classmethod
    def _complete(cls, params: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "algorithm" not in info.data:  # which is refused already
            return params
        return validated(PARAMS[info.data["algorithm"]], params)

    @field_validator("currencies")
    @classmethod
    def _usual_scales(cls, given: dict[str, CurrencyRules], info: ValidationInfo) -> dict[str, CurrencyRules]:
        account = info.data.get("account")
        return scales(given, [account.currency] if account else [])

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(_together(self))
        return self

    @property
    def edges(self) -> dict[str, tuple[float, ...]]:
        """Edges of a table's bins that are not fitted: those given, and of `balance` half of the cash: invested, or not."""
        usual = {"balance": (0.5 * self.account.cash,)} if "balance" in self.features else {}
        return {**usual, **self.params["edges"]}

    @property
    def settings(self) -> QLearningParams | PpoParams:
        """The algorithm's parameters, as an object."""
        return PARAMS[self.algorithm].model_validate(self.params)


LoadedTraining = Loaded[TrainingConfig]


def load_training(source: Source, overrides: Sequence[str] = ()) -> LoadedTraining:
    """The configuration of a training, of a YAML file or a dict, with overrides; raises as `read` does."""
    return read(TrainingConfig, source, overrides)


def _features(names: Sequence[str]) -> Iterator[checks.Finding]:
    if not names:
        yield (), "is empty; an agent sees at least one feature: write default"
    yield from checks.features(names)
    for i, name in enumerate(names):
        if name in names[:i]:
            yield (i,), f"{name!r} is given twice; remove one"


def _together(config: TrainingConfig) -> Iterator[checks.Finding]:
    """What an agent does fits its account, its algorithm and the bars that there are."""
    yield from checks.market(config)
    if config.steps is None and config.episodes is None:
        yield ("steps",), "is missing; say how long it trains, such as steps: 1000000, or give episodes"
    if config.steps is not None and config.episodes is not None:
        yield ("episodes",), "is given beside steps; remove one of the two"
    if config.algorithm == "qlearning" and config.actions.kind != "discrete":
        yield (
            ("actions", "kind"),
            f"is {config.actions.kind!r}, and a table has discrete actions; write discrete, or algorithm: ppo",
        )
    if config.algorithm == "qlearning":
        yield from _bins(config)
    account, size = config.account, config.actions.size
    yield from ((("account", *keys), message) for keys, message in checks.cash(account, config.currencies))
    yield from (
        (("account", *keys), message) for keys, message in risk_checks.limits(account.limits, config.risk)
    )
    if config.actions.short and not account.margin:
        yield (
            ("actions", "short"),
            "is for margin accounts; write account: {margin: {leverage: 1}}, or remove it",
        )
    yield from ((("actions", *keys), m) for keys, m in checks.size_fits(size, account.margin))
    for i, data in enumerate(config.data):
        instrument = config.instruments.get(data.instrument)
        if not instrument:
            continue  # said already
        if instrument.currency != account.currency:
            yield (
                ("data", i, "instrument"),
                (
                    f"{data.instrument} is in {instrument.currency}, the account in {account.currency}; "
                    f"write account: {{currency: {instrument.currency}}}, or train on it by itself"
                ),
            )
        yield from (
            (("actions", *keys), message)
            for keys, message in checks.whole_units(size, data.instrument, instrument.lot_size)
        )
        if data.bar:
            yield from _bars(config, data.instrument, data.bar)


def _bins(config: TrainingConfig) -> Iterator[checks.Finding]:
    """Bins are of features that it sees, and their edges ascend."""
    for key in ("bins_of", "edges"):
        for name in config.params[key]:
            if name not in config.features:
                near = get_close_matches(name, config.features, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(config.features)}"
                yield ("params", key, name), f"is none of the features; {hint}"
    yield from _table(config)
    for name, edges in config.params["edges"].items():
        if any(a >= b for a, b in pairwise(edges)):
            yield ("params", "edges", name), "do not ascend; write each edge once, the lowest first"


def _table(config: TrainingConfig) -> Iterator[checks.Finding]:
    """Features of the account have edges, and the bins make no more states than a table can have."""
    from envs.qlearning.bins import ACCOUNT_EDGES, MOST_STATES
    from envs.task import of_account

    params = config.params
    edges = {**ACCOUNT_EDGES, **config.edges}
    states = 1
    for i, name in enumerate(config.features):
        if name in edges:
            states *= len(edges[name]) + 1
        elif of_account(name):
            hint = f"write params: {{edges: {{{name}: [...]}}}}, or leave it out"
            yield (
                ("features", i),
                f"{name} is of the account, and no data say how to cut it into bins; {hint}",
            )
        else:
            states *= params["bins_of"].get(name, params["bins"])
    if states > MOST_STATES:
        yield (
            ("params", "bins"),
            f"make {states:,} states, and a table has at most {MOST_STATES:,}; take fewer bins or features",
        )


def _bars(config: TrainingConfig, name: str, bar: int) -> Iterator[checks.Finding]:
    wanted: list[tuple[tuple[str | int, ...], int]] = [(("timeframe",), config.timeframe)]
    for i, feature in enumerate(config.features):
        if timeframe := split_feature(feature)[1]:
            wanted.append((("features", i), parse_duration(timeframe)))
    yield from ((keys, checks.not_multiple(name, bar, ns)) for keys, ns in wanted if ns % bar)
