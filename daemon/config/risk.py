"""How losses are forecast: the top-level `risk` of a configuration, which limits on them need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from daemon.config import checks
from daemon.config.base import Loss, Model, Share
from daemon.config.types import Duration, InstrumentName, Name, Time, format_duration, ns_of

Method = Literal["historical", "gaussian", "cornish_fisher", "ewma", "filtered", "monte_carlo"]
FEWEST = 20  # returns of an instrument, or of a stress window, below which nothing is said about a loss
_OF_PAST = ("historical", "filtered")  # methods that find a quantile among the returns themselves
_MINUTE, _YEAR = 60 * 10**9, 365 * 86_400 * 10**9
_MOST = 100_000  # periods of a stress window
_Shock = Annotated[float, Field(ge=-1, le=10)]


class Stress(Model):
    """A bad time: a stretch of history that happens again, or returns that all come at once."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: Name = Field(description="Names it in results.")
    begin: Time | None = Field(
        default=None, alias="from", description="The stretch's begin (UTC); what lies before `start` only."
    )
    to: Time | None = Field(default=None, description="Its end (UTC).")
    shocks: dict[InstrumentName, _Shock] = Field(
        default={}, description="The returns: {AAPL: -0.1} is a fall by 10 %."
    )
    others: _Shock | None = Field(
        default=None, description="The return of each instrument that shocks do not name; null: 0."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(_stress(self))
        return self


class Grading(Model):
    """How forecasts are held against outcomes."""

    methods: Annotated[tuple[Method, ...], Field(strict=False)] = Field(
        default=(), description="Graded beside the method of the limits."
    )
    outcomes: int = Field(
        default=250,
        ge=FEWEST,
        le=10_000,
        description="Each account's last so many periods are what the method is judged by.",
    )
    significance: Loss = Field(
        default=0.05, description="Level of Kupiec's test at which too many losses beyond VaR reject it."
    )
    tighten: Share = Field(
        default=1.0,
        description="While it is rejected, limits on VaR and CVaR are multiplied by this; 1: they stay as they are.",
    )


class ShortHistory(Model):
    """What an instrument whose history is too short is taken to risk."""

    prior_volatility: Share | None = Field(
        default=None, description="The standard deviation of a period's return; null: orders are denied."
    )


def _deny(given: Any) -> Any:
    if given == "deny":
        return {}
    if not isinstance(given, dict | ShortHistory):
        raise ValueError("is neither deny nor a volatility; write deny, or {prior_volatility: 0.03}")
    return given


class RiskConfig(Model):
    """The forecasts of loss, for all accounts and strategies: made once a period, from the returns of the periods before."""

    method: Method = Field(
        default="historical",
        description="historical: the window's returns as they were; filtered: scaled to today's volatility; gaussian: their "
        "mean and deviation; cornish_fisher: their first four moments; ewma: a deviation that forgets; monte_carlo: "
        "normal draws.",
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        default=0.99, description="The loss is not beyond VaR with this probability."
    )
    horizon: int = Field(default=1, ge=1, le=250, description="Periods that the loss is over.")
    period: Duration = Field(
        default=86_400 * 10**9,
        description="How long a period is; one of 1d ends at midnight UTC.",
        json_schema_extra={"default": "1d"},
    )
    window: int = Field(default=500, ge=FEWEST, le=10_000, description="The last so many periods are used.")
    min_history: int = Field(
        default=100, ge=FEWEST, le=10_000, description="Returns of an instrument with which it is measured."
    )
    short_history: Annotated[
        ShortHistory, BeforeValidator(_deny, json_schema_input_type=Literal["deny"] | ShortHistory)
    ] = Field(
        default=ShortHistory(),
        description="What holds of an instrument with fewer: deny (orders, but for exits), or {prior_volatility: 0.03}, "
        "the deviation that its return over a period is then taken to have.",
        json_schema_extra={"default": "deny"},
    )
    decay: Loss = Field(
        default=0.94,
        description="Weight of a period for ewma and filtered, as a share of that of the next one.",
    )
    draws: int = Field(default=2000, ge=100, le=100_000, description="Draws of monte_carlo.")
    stress: Annotated[tuple[Stress, ...], Field(strict=False)] = Field(
        default=(), description="What stressed VaR is the largest loss of."
    )
    grading: Grading = Field(
        default=Grading(), description="How forecasts are held against what came of them."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(_together(self))
        return self

    @property
    def graded(self) -> tuple[str, ...]:
        """The methods whose forecasts are graded, that of the limits first."""
        return tuple(dict.fromkeys((self.method, *self.grading.methods)))


def least_scenarios(confidence: float) -> int:
    """The number of scenarios of which one lies beyond the quantile: 100 at 0.99."""
    return ceil((1 - 1e-9) / (1 - confidence))  # of which 1 / (1 - 0.99) is a little less


def _stress(given: Stress) -> Iterator[checks.Finding]:
    """A stretch of history or shocks, not both."""
    window = given.begin is not None or given.to is not None
    shocked = bool(given.shocks) or given.others is not None
    if window and shocked:
        yield (), "is a stretch of history and shocks at once; make two entries of it"
    elif not window and not shocked:
        hint = "{name: crisis, from: 2008-09-01, to: 2008-12-01} or {name: crash, shocks: {AAPL: -0.1}}"
        yield (), f"stresses nothing; write {hint}"
    elif window and not (given.begin and given.to):
        key = "to" if given.begin else "from"
        yield (key,), "is missing; a stretch of history has both from and to"
    elif given.begin and given.to and given.begin >= given.to:
        yield ("to",), f"is not after from, {given.begin:%Y-%m-%d %H:%M}; choose a later time"


def _together(given: RiskConfig) -> Iterator[checks.Finding]:
    """The history is long enough for what is to be found in it."""
    if not _MINUTE <= given.period <= _YEAR:
        yield ("period",), f"is {format_duration(given.period)}; write one from 1m to 365d, such as 1d"
    if given.min_history > given.window:
        yield (
            ("min_history",),
            f"is {given.min_history}, more than the window of {given.window} holds; choose a longer window, or less",
        )
    least = least_scenarios(given.confidence)
    for method in given.graded:
        if method in _OF_PAST and given.min_history < least:
            problem = f"is {given.min_history}: at a confidence of {given.confidence:g}, {method} finds no quantile in"
            hint = f"write min_history: {least} and a window of at least as many, or a lower confidence"
            yield ("min_history",), f"{problem} fewer than {least} returns; {hint}"
            break
    if "monte_carlo" in given.graded and given.draws < least:
        problem = f"is {given.draws}: a confidence of {given.confidence:g} needs {least} draws"
        yield ("draws",), f"{problem}; write draws: {least} or more, or a lower confidence"
    for i, method in enumerate(given.grading.methods):
        if method in given.grading.methods[:i]:
            yield ("grading", "methods", i), f"{method} is given twice; remove one"
    yield from ((("stress", *keys), message) for keys, message in checks.names("stress", given.stress))
    yield from _lengths(given.stress, given.period)


def _lengths(stress: Sequence[Stress], period: int) -> Iterator[checks.Finding]:
    for i, given in enumerate(stress):
        if not (given.begin and given.to):
            continue
        n = (ns_of(given.to) - ns_of(given.begin)) // period
        if n < FEWEST:
            what = f"lasts less than {FEWEST} periods of {format_duration(period)}"
            yield (
                ("stress", i, "to"),
                f"{given.name} {what}, too few to say what may be lost; choose a later time",
            )
        if n >= _MOST:
            what = f"lasts {n:,} periods of {format_duration(period)}"
            yield (
                ("stress", i, "to"),
                f"{given.name} {what}; choose an earlier time, so that there are less than {_MOST:,}",
            )
