"""The rules that come with Papertape. They decide inside the compiled loop, on the features that they name here.

Each decides on the close of every bar once its features have seen enough bars, in each of its instruments apart. It is
long or flat: "long" is the size that the configuration gives, held until the rule says "flat".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

if TYPE_CHECKING:
    from engine.policies import Policy

_MAX_WINDOW = 100_000  # bars; the engine's bound for any window


class RuleParams(BaseModel):
    """Parameters of a rule; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Rule:
    """A compiled rule: its parameters, and what the engine's policy is given of them."""

    name: str
    Params: type[RuleParams]
    features: Callable[[Any], tuple[str, ...]]  # of valid Params: the observation, in the policy's order
    policy_params: Callable[[Any], tuple[float, ...]]  # of valid Params: p0, p1, p2 of the policy

    @property
    def policy(self) -> Policy:
        """The engine's policy of the same name."""
        from engine.policies import Policy  # compiles nothing, but imports numba

        return Policy[self.name.upper()]

    @property
    def doc(self) -> str:
        """What the rule does, in a sentence or two."""
        return " ".join((self.Params.__doc__ or "").split())


class BuyAndHold(RuleParams):
    """Long from the first bar on: the benchmark for every other strategy."""


class SmaCross(RuleParams):
    """Long while the fast simple average of closes is above the slow one, else flat."""

    fast: int = Field(10, ge=1, le=_MAX_WINDOW, description="bars of the fast average")
    slow: int = Field(30, ge=2, le=_MAX_WINDOW, description="bars of the slow average; more than fast")

    @field_validator("slow")
    @classmethod
    def _slower(cls, slow: int, info: ValidationInfo) -> int:
        fast = info.data.get("fast")
        if fast is not None and slow <= fast:
            raise ValueError(f"the slow average must be longer than the fast one, which has {fast} bars")
        return slow


class Momentum(RuleParams):
    """Long when the return over the lookback exceeds the threshold, flat when it falls below minus the threshold.

    In between it keeps what it has; with a threshold of 0 it is flat unless the return is positive.
    """

    lookback: int = Field(20, ge=1, le=_MAX_WINDOW, description="bars over which the return is taken")
    threshold: float = Field(0.0, ge=0, lt=1, description="a return as a share: 0.05 is five per cent")


class RsiReversion(RuleParams):
    """Long when the RSI falls below oversold, flat when it rises above overbought; in between it keeps what it has."""

    window: int = Field(14, ge=2, le=_MAX_WINDOW, description="bars of Wilder's average")
    oversold: float = Field(30.0, gt=0, lt=100, description="buys below this RSI")
    overbought: float = Field(70.0, gt=0, le=100, description="sells above this RSI; more than oversold")

    @field_validator("overbought")
    @classmethod
    def _above(cls, overbought: float, info: ValidationInfo) -> float:
        oversold = info.data.get("oversold")
        if oversold is not None and overbought <= oversold:
            raise ValueError(f"overbought must be above oversold, which is {oversold:g}")
        return overbought


_RULES = (
    Rule("buy_and_hold", BuyAndHold, lambda p: (), lambda p: ()),
    Rule("sma_cross", SmaCross, lambda p: (f"sma_{p.fast}", f"sma_{p.slow}"), lambda p: ()),
    Rule("momentum", Momentum, lambda p: (f"return_{p.lookback}",), lambda p: (p.threshold,)),
    Rule("rsi_reversion", RsiReversion, lambda p: (f"rsi_{p.window}",), lambda p: (p.oversold, p.overbought)),
)
RULES: dict[str, Rule] = {rule.name: rule for rule in _RULES}
