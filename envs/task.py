"""What an agent is to learn: what it sees, what it can do, what it earns, and with what money."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from engine.features import AccountFeature, parse_feature
from engine.models import ACTIONS, Model, QTable
from engine.policies import Policy
from engine.records import BarKind, SizeKind
from engine.spec import AccountSpec, EngineSpec, InstrumentSpec, RiskSpec, Sessions, StrategySpec

DEFAULT_FEATURES = (  # free of scale: they mean the same at any price and of any instrument
    "log_return", "log_return_5", "log_return_20", "sma_gap_20", "rsi_14", "bb_position_20", "realized_vol_20",
    "volume_z_20", "exposure",
)  # fmt: skip
CLASSIC_FEATURES = ("balance", "holdings", "close", "rsi_14", "sma_20", "macd")


class RewardKind(IntEnum):
    """What an agent earns at each bar, before penalties."""

    PROFIT = 0  # change of equity / initial equity
    LOG_RETURN = 1  # of equity
    DIFFERENTIAL_SHARPE = 2  # what the bar does to a moving Sharpe ratio (Moody and Saffell 2001)


@dataclass(frozen=True)
class Reward:
    """What an agent earns at each bar, of which the return on equity is R.

    reward = scale * (kind + risk / 2 * R^2 - drawdown_penalty * (rise of the drawdown) - cost_penalty * (fees / equity)
                      - volatility_penalty * max(0, volatility - volatility_target))

    Drawdown is that of equity from its peak in the episode, as a share. Volatility is the root of an exponentially
    weighted mean of R^2 with decay 0.94 a bar (RiskMetrics 1996). A positive `risk` seeks risk, a negative one shuns it.
    """

    kind: RewardKind = RewardKind.LOG_RETURN
    drawdown_penalty: float = 0.0
    cost_penalty: float = 0.0
    volatility_target: float = 0.0  # of R, by bar
    volatility_penalty: float = 0.0
    risk: float = 0.0
    eta: float = 0.01  # weight of the newest bar in the moving Sharpe ratio
    scale: float = 1.0


@dataclass(frozen=True)
class Actions:
    """What an agent can do at each bar.

    Without `target`: sell (0), hold (1) or buy (2), where a buy takes the size and a sell goes flat, or short by the size.
    With it: a number in [-1, 1], or [0, 1] where it may not be short, times the size, is the wanted share of equity, and
    nothing is ordered for a change of less than `threshold`, but to go flat.
    """

    target: bool = False
    short: bool = False
    size_kind: SizeKind = SizeKind.FRACTION
    size: float = 0.95  # units, or a share of equity
    threshold: float = 0.0


@dataclass(frozen=True)
class Task:
    """An agent's task in any one instrument: an account of its own, decisions at the close of each bar."""

    account: AccountSpec
    timeframe_ns: int
    features: tuple[str, ...] = DEFAULT_FEATURES
    actions: Actions = field(default_factory=Actions)
    reward: Reward = field(default_factory=Reward)
    bar_kind: BarKind = BarKind.TIME
    bar_size: float = 0.0
    episode_bars: int = 0  # 0: to the end of the span
    ruin: float = 0.1  # an episode ends where equity falls to this share of what it began with
    columns: tuple[str, ...] = ()  # features that no indicator gives: the tapes bring them

    @property
    def n_outputs(self) -> int:
        """Values that its model gives."""
        return 1 if self.actions.target else len(ACTIONS)

    @property
    def series_features(self) -> tuple[str, ...]:
        """The features that do not depend on the agent."""
        return tuple(f for f in self.features if f in self.columns or not of_account(f))

    def strategy(self, instrument: str, features: tuple[str, ...] = (), model: Model | None = None) -> Any:
        """The strategy of the engine that has this task: with a model, or asked from outside."""
        policy = (
            Policy.PYTHON
            if model is None
            else Policy.Q_TABLE
            if isinstance(model, QTable)
            else Policy.NETWORK
        )
        return StrategySpec(
            "agent",
            self.account.name,
            (instrument,),
            self.timeframe_ns,
            features,
            policy,
            size_kind=self.actions.size_kind,
            size_value=self.actions.size,
            bar_kind=self.bar_kind,
            bar_size=self.bar_size,
            model=model,
            short=self.actions.short,
            threshold=self.actions.threshold,
        )


@dataclass(frozen=True)
class Market:
    """The instrument of a tape, and what the engine must know beside it."""

    instrument: InstrumentSpec
    scales: dict[str, int] = field(default_factory=dict)
    calendars: dict[str, Sessions] = field(default_factory=dict)
    risk: RiskSpec | None = None  # how losses are forecast, where the account limits them

    def spec(self, task: Task, strategy: StrategySpec, **more: Any) -> EngineSpec:
        """An engine of this one instrument with the task's account and one strategy."""
        return EngineSpec(
            (self.instrument,),
            (task.account,),
            (strategy,),
            scales=self.scales,
            calendars=self.calendars,
            risk=self.risk,
            **more,
        )


def of_account(feature: str) -> bool:
    """Whether a feature is of the agent's account. Raises ValueError where there is no such feature."""
    return isinstance(parse_feature(feature.partition("@")[0]), AccountFeature)
