"""The entry of `data:` that makes its prices up: which process, how many prints, how much volume."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from daemon.config import checks
from daemon.config.base import Model, NotNegative, Positive
from daemon.config.types import BarDuration, InstrumentName, Time, format_duration

DAY_NS = 86_400 * 10**9
PRINTS_PER_DAY = 20_000  # of a tape of ticks, where nothing is said
PRINTS_PER_BAR = 60  # of a tape of bars

# model -> the keys that are for it, and what they are where nothing is said (None: that has to be said)
_OF_MODEL: dict[str, dict[str, Any]] = {
    "gbm": {"drift": 0.0, "volatility": 0.2},
    "ou": {"volatility": 0.2, "mean": "price", "half_life": 10.0},
    "regimes": {"regimes": None},
}


class Regime(Model):
    """One state of a market that changes its state at random."""

    drift: float = Field(default=0.0, description="Expected growth a year while it lasts: 0.05 is 5 %.")
    volatility: NotNegative = Field(description="Standard deviation of a year's log return while it lasts.")
    days: Annotated[float, Field(ge=0.001)] = Field(
        description="Trading days that it lasts, in the mean; the time is exponential."
    )
    next: Annotated[tuple[NotNegative, ...], Field(strict=False)] | None = Field(
        default=None,
        description="Weights with which each regime of the list follows (its own is 0); null: all others alike.",
    )


class Jumps(Model):
    """Sudden moves on top of a process: a compound Poisson process with normal log sizes (Merton 1976)."""

    per_year: Annotated[float, Field(ge=0, le=1e6)] = Field(description="How many there are, in the mean.")
    mean: float = Field(default=0.0, description="Mean of a jump of the log price: -0.02 is about -2 %.")
    deviation: NotNegative = Field(default=0.0, description="Standard deviation of it.")


class Volume(Model):
    """How much is traded, and when in a session."""

    daily: Positive = Field(default=1e6, description="Units of a whole session, in the mean.")
    shape: Literal["flat", "u"] = Field(
        default="flat",
        description="flat: alike all session; u: four times as much at the open and close as at noon.",
    )


class SyntheticData(Model):
    """Prices of a random process: the same for the same seed and instrument."""

    source: Literal["synthetic"]
    instrument: InstrumentName = Field(description="The instrument's name; its prices are its own.")
    bar: BarDuration = Field(description="tick: a row is a trade; or the length of bars (1m, 1h, 1d).")
    start: Time = Field(description="The first session is the first that opens then or later (UTC).")
    end: Time | None = Field(default=None, description="Sessions from here on are left out; or give days.")
    days: Annotated[int, Field(gt=0)] | None = Field(default=None, description="How many sessions.")
    model: Literal["gbm", "ou", "regimes"] = Field(
        default="gbm",
        description="gbm: geometric Brownian motion; ou: the log price returns to a mean (Ornstein-Uhlenbeck); "
        "regimes: a Brownian motion whose drift and volatility change at random.",
    )
    price: Positive = Field(default=100.0, description="The price at which it begins.")
    drift: float | None = Field(
        default=None,
        validate_default=True,
        description="gbm: expected growth a year of trading: 0.05 is 5 %; null: 0.",
    )
    volatility: NotNegative | None = Field(
        default=None,
        validate_default=True,
        description="gbm, ou: standard deviation of a year's log return; null: 0.2.",
    )
    mean: Positive | None = Field(
        default=None, validate_default=True, description="ou: the price that it returns to; null: `price`."
    )
    half_life: Positive | None = Field(
        default=None,
        validate_default=True,
        description="ou: trading days after which half of the distance to the mean is gone; null: 10.",
    )
    regimes: Annotated[tuple[Regime, ...], Field(strict=False)] | None = Field(
        default=None,
        validate_default=True,
        description="regimes: two or more states of the market; it begins in the first.",
    )
    jumps: Jumps | None = Field(default=None, description="Sudden moves on top of the process; null: none.")
    volume: Volume = Field(default=Volume(), description="How large its prints are and when they come.")
    ticks_per_day: Annotated[int, Field(gt=0, le=10**9)] | None = Field(
        default=None,
        description="Prints of a whole session, of which bars are made too; null: 20000, or 60 for each bar.",
    )
    arrivals: Literal["poisson", "even"] = Field(
        default="poisson",
        description="poisson: prints come at random; even: in a fixed rhythm. Both follow the volume's shape.",
    )
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = Field(
        default=None, description="Where its random numbers begin; null: the run's seed."
    )

    @field_validator("bar")
    @classmethod
    def _part_of_a_day(cls, ns: int) -> int:
        if ns and DAY_NS % ns:
            raise ValueError(
                f"{format_duration(ns)} does not divide a day; write tick, 1m, 1h, 1d or the like, "
                "and ask for longer bars with a strategy's timeframe"
            )
        return ns

    @field_validator("drift", "volatility", "mean", "half_life", "regimes")
    @classmethod
    def _of_the_model(cls, value: Any, info: ValidationInfo) -> Any:
        if "model" not in info.data or info.field_name is None:  # which is refused already
            return value
        model, key = info.data["model"], info.field_name
        known = _OF_MODEL[model]
        if key not in known:
            if value is not None:
                others = " or ".join(m for m, keys in _OF_MODEL.items() if key in keys)
                raise ValueError(f"is not for model {model}; remove it, or choose model {others}")
            return None
        if value is not None:
            return value
        if known[key] is None:
            raise ValueError(f"is missing; model {model} needs it")
        return info.data.get("price") if known[key] == "price" else known[key]

    @field_validator("regimes")
    @classmethod
    def _lead_to_each_other(cls, regimes: tuple[Regime, ...] | None) -> tuple[Regime, ...] | None:
        if regimes is not None:
            checks.refuse(_transitions(regimes))
        return regimes

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(_together(self))
        return self


def _transitions(regimes: tuple[Regime, ...]) -> Iterator[checks.Finding]:
    n = len(regimes)
    if n < 2:
        yield (), f"has {n} of at least two regimes; add another, or choose model gbm"
    for i, regime in enumerate(regimes):
        if regime.next is None:
            continue
        if len(regime.next) != n:
            yield (i, "next"), f"has {len(regime.next)} weights for {n} regimes; give one for each, its own 0"
        elif regime.next[i] > 0:
            yield (i, "next"), "leads to the regime itself; make its own weight 0, and `days` longer"
        elif not sum(regime.next):
            yield (i, "next"), "leads nowhere; make one of its weights positive"


def _together(given: SyntheticData) -> Iterator[checks.Finding]:
    if given.end is None and given.days is None:
        yield ("days",), "is missing; say how many sessions there are, or give end"
    if given.end is not None and given.days is not None:
        yield ("days",), "is given beside end; remove one of the two"
    if given.end is not None and given.end <= given.start:
        yield ("end",), f"is not after start, {given.start:%Y-%m-%d %H:%M}; choose a later end"
    if given.bar == DAY_NS and given.volume.shape == "u":
        yield ("volume", "shape"), "is of a session's hours, which daily bars do not show; remove it"


def misfits(
    given: SyntheticData, tick_size: float, lot_size: float, prints_per_day: float | None = None
) -> Iterator[checks.Finding]:
    """Where its prices and sizes cannot be whole ticks and lots of the instrument.

    prints_per_day: of a whole session; None: as many as it says itself, and nothing is said of sizes where it does not.
    """
    for key in ("price", "mean"):
        price = getattr(given, key)
        if price is not None and price < tick_size:
            yield (key,), f"{price:g} is below one tick of {tick_size:g}; choose a smaller tick_size"
    prints = prints_per_day or given.ticks_per_day or (None if given.bar else PRINTS_PER_DAY)
    if prints and given.volume.daily / prints < lot_size:
        yield (
            ("volume", "daily"),
            f"{given.volume.daily:g} in {prints:g} prints is less than a lot of {lot_size:g} each; raise it, or lower ticks_per_day",
        )
