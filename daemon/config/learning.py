"""What an agent learns by: its reward, its actions, its algorithm's parameters, and the spans that it is judged on."""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from daemon.config import checks
from daemon.config.agents import Size
from daemon.config.base import SOME, Loss, Model, NotNegative, Positive, Share

Algorithm = Literal["qlearning", "ppo"]
RewardKind = Literal["profit", "log_return", "differential_sharpe"]
ActionKind = Literal["discrete", "target"]
_Whole = Annotated[int, Field(gt=0, le=10**12)]
_Few = Annotated[int, Field(gt=0, le=100_000)]

_Discount = Annotated[float, Field(ge=0, le=1)]
_Unit = Annotated[float, Field(ge=0, le=1)]


class Reward(Model):
    """What an agent earns at each bar, of which the return on equity is R: kind + risk / 2 x R^2, less the penalties."""

    kind: RewardKind = Field(
        description="profit: change of equity as a share of what it began with; log_return: of equity; "
        "differential_sharpe: what the bar does to a moving Sharpe ratio (Moody and Saffell 2001)."
    )
    drawdown_penalty: NotNegative = Field(
        default=0.0,
        description="Taken off times what the bar adds to the loss from the peak, as a share of it.",
    )
    cost_penalty: NotNegative = Field(
        default=0.0, description="Taken off times the bar's fees as a share of equity; R has them already."
    )
    volatility_target: NotNegative = Field(
        default=0.0,
        description="Moving standard deviation of R, by bar, up to which there is no penalty: 0.01 is 1 %.",
    )
    volatility_penalty: NotNegative = Field(
        default=0.0, description="Taken off times what that deviation has above its target."
    )
    risk: Annotated[float, Field(ge=-1000, le=1000)] = Field(
        default=0.0, description="Positive seeks risk, negative shuns it."
    )
    eta: Share = Field(default=0.01, description="Weight of the newest bar in the moving Sharpe ratio.")
    scale: Positive = Field(
        default=1.0, description="Multiplies the whole; some learners like rewards of the size of 1."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.volatility_target and not self.volatility_penalty:
            problem = "is missing; a volatility_target without it changes nothing: give both, or neither"
            checks.refuse([(("volatility_penalty",), problem)])
        return self


class Actions(Model):
    """What an agent can do at the close of each bar."""

    kind: ActionKind = Field(
        description="discrete: sell, hold or buy; target: an exposure, any share of the size."
    )
    size: Size = Field(
        default=Size(fraction=0.95),
        description="What a full position is: {units: 100}, or {fraction: 0.95} of the account's equity.",
    )
    short: bool = Field(
        default=False,
        description="Sell goes below flat, and a target reaches from -1; a margin account only.",
    )
    threshold: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.0,
        description="A target orders no smaller change than this share of equity, but to go flat.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(_actions(self))
        return self


def _actions(given: Actions) -> Iterator[checks.Finding]:
    if given.kind == "discrete" and given.threshold:
        yield ("threshold",), "is for targets; discrete actions trade all of the size or nothing: remove it"
    if given.kind == "target" and given.size.units:
        yield ("size", "units"), "is for discrete actions; a target is a share of equity: write fraction"


def _word(given: Any) -> Any:
    return {"kind": given} if isinstance(given, str) else given


RewardOrWord = Annotated[Reward, BeforeValidator(_word, json_schema_input_type=RewardKind | Reward)]
ActionsOrWord = Annotated[Actions, BeforeValidator(_word, json_schema_input_type=ActionKind | Actions)]


class WalkForward(Model):
    """The whole history cut into folds, each trained on what lies before its test span."""

    folds: Annotated[int, Field(ge=2, le=100)] = Field(description="How many times it trains and tests.")
    anchored: bool = Field(
        default=True, description="Each fold trains from the beginning on; false: on a window that moves."
    )


class Spans(Model):
    """The history cut in the order of time: to learn on, to choose by, and to be judged on once."""

    train: Share = Field(default=0.6, description="Share of the bars that it learns on.")
    validation: Share = Field(default=0.2, description="Share on which the best of the training is chosen.")
    test: Share = Field(default=0.2, description="Share that nothing is chosen by.")
    embargo: Annotated[int, Field(ge=0, le=100_000)] | None = Field(
        default=None,
        description="Bars left out between two spans, so that no feature sees both; null: the longest window of the features.",
    )
    walk_forward: WalkForward | None = Field(
        default=None, description="Beside it, train and test again fold by fold; null: no."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.train + self.validation + self.test
        if not isclose(total, 1, rel_tol=0, abs_tol=1e-9):
            parts = f"train {self.train:g}, validation {self.validation:g} and test {self.test:g}"
            raise ValueError(f"add up to {total:g}: {parts}; make them 1 together")
        return self


class Evaluation(Model):
    """How an agent is judged when its training is over."""

    controls: bool = Field(
        default=True,
        description="Also train on markets whose best policy is known; without it a model is promoted by force only.",
    )
    bootstrap: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=1000, description="Resamples for the confidence intervals; 0: none."
    )
    confidence: Loss = Field(default=0.95, description="Of those intervals.")
    min_deflated_sharpe: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.95, description="The deflated Sharpe ratio from which on a model may be promoted unforced."
    )


class Schedule(Model):
    """A number that goes from where it starts to where it ends while an agent learns."""

    start: NotNegative = Field(description="At the first step.")
    end: NotNegative = Field(description="At the end of its share of the steps, and from there on.")
    share: Share = Field(default=1.0, description="Share of the steps that it takes.")
    kind: Literal["linear", "exponential"] = Field(
        default="linear", description="By the same amount each step, or by the same factor."
    )

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.kind == "exponential" and not (self.start and self.end):
            raise ValueError("is exponential, which reaches no 0; give a small number, or kind: linear")
        return self


def _constant(given: Any) -> Any:
    number = isinstance(given, int | float) and not isinstance(given, bool)
    return {"start": given, "end": given} if number else given


ScheduleOrNumber = Annotated[Schedule, BeforeValidator(_constant, json_schema_input_type=float | Schedule)]


class _Params(Model):
    evaluate_every: _Whole | None = Field(
        default=None,
        description="Steps from one look at the validation span to the next; null: twenty looks.",
    )
    patience: _Few | None = Field(
        default=None, description="End after so many looks without a better one; null: never before the end."
    )


class QLearningParams(_Params):
    """Tabular Q-learning."""

    bins: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=3, description="Bins of each feature, about equally often seen in training."
    )
    bins_of: dict[str, Annotated[int, Field(ge=1, le=1000)]] = Field(
        default={}, description="Another number of bins for some features: {rsi_14: 8}."
    )
    edges: dict[str, Annotated[tuple[float, ...], Field(strict=False)]] = Field(
        default={},
        description="Edges of bins given by hand: {rsi_14: [30, 70]}; those of the account have usual ones.",
    )
    gamma: _Discount = Field(default=0.99, description="What the next bar's reward is worth now.")
    learning_rate: ScheduleOrNumber = Field(
        default=Schedule(start=0.1, end=0.001, kind="exponential"),
        description="How far a value moves towards each return.",
    )
    visit_power: _Unit = Field(
        default=0.0,
        description="The learning rate is divided by the number of visits to this power; with a constant rate and above 0.5 "
        "values converge.",
    )
    epsilon: ScheduleOrNumber = Field(
        default=Schedule(start=1.0, end=0.05, share=0.5), description="Share of actions taken at random."
    )
    double: bool = Field(
        default=True, description="Two tables that judge each other's best action (van Hasselt 2010)."
    )
    n_step: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="Rewards that are added up before the table is asked for the rest."
    )
    lanes: _Few = Field(
        default=2,
        description="Episodes that run side by side; more are slower, as they share the processor's caches.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        checks.refuse(_shares(self))
        return self


def _shares(given: QLearningParams) -> Iterator[checks.Finding]:
    for key in ("learning_rate", "epsilon"):
        for end in ("start", "end"):
            value = getattr(getattr(given, key), end)
            if value > 1:
                yield (key, end), f"is {value:g}; it must be at most 1"


class PpoParams(_Params):
    """Proximal policy optimisation (Schulman and others 2017)."""

    learning_rate: ScheduleOrNumber = Field(default=Schedule(start=3e-4, end=3e-4), description="Of Adam.")
    n_lanes: _Few = Field(default=256, description="Episodes that run side by side.")
    n_steps: _Few = Field(default=32, description="Bars of each lane between two updates.")
    batch_size: Annotated[int, Field(ge=2, le=10**9)] = Field(
        default=4096, description="Steps of a minibatch."
    )
    epochs: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=10, description="Times that an update goes through its steps."
    )
    gamma: _Discount = Field(default=0.99, description="What the next bar's reward is worth now.")
    gae_lambda: _Unit = Field(
        default=0.95, description="Between one step (0) and the whole episode (1) in judging an action."
    )
    clip_range: Share = Field(
        default=0.2, description="How far an update may change an action's probability."
    )
    ent_coef: NotNegative = Field(
        default=0.005, description="Weight of the entropy, which keeps it exploring."
    )
    vf_coef: NotNegative = Field(default=0.5, description="Weight of the value function's error.")
    max_grad_norm: Positive = Field(default=0.5, description="Longer gradients are cut to this.")
    net_arch: Annotated[tuple[Annotated[int, Field(ge=1, le=4096)], ...], *SOME] = Field(
        default=(64, 64), description="Units of each layer, of the policy and of the value function."
    )
    activation: Literal["tanh", "relu"] = Field(default="tanh", description="Behind each layer.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        most = self.n_lanes * self.n_steps
        if self.batch_size > most:
            problem = f"{self.batch_size} is more than an update has, n_lanes x n_steps = {most}; choose a smaller one"
            checks.refuse([(("batch_size",), problem)])
        return self


PARAMS: dict[Algorithm, type[QLearningParams | PpoParams]] = {"qlearning": QLearningParams, "ppo": PpoParams}
