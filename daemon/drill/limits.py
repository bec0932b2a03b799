"""The limits on losses that a configuration sets, read from the configuration itself and not from what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.records import Code, Limit, LimitAction

if TYPE_CHECKING:
    from daemon.config.limits import RiskLimits


@dataclass(frozen=True)
class Given:
    """A limit on losses, and what the configuration says it does. Shares of equity; 0: none."""

    limit: Limit
    bound: float
    warning: float
    action: LimitAction

    @property
    def key(self) -> str:
        """Its key in a configuration."""
        return self.limit.name.lower()

    @property
    def title(self) -> str:
        """Its key and its bound."""
        return f"{self.key} {self.bound:g}"

    @property
    def code(self) -> Code:
        """The code of what it denies."""
        return Code[self.limit.name]

    @property
    def halts(self) -> bool:
        """Whether the market alone can switch the trading state by it."""
        return self.action >= LimitAction.HALT


def given_limits(limits: RiskLimits | None) -> list[Given]:
    """The limits on losses that are set, in the order of the gate."""
    found = []
    for limit in Limit:
        given = getattr(limits, limit.name.lower(), None)
        if given is not None:
            action = LimitAction[given.action.upper()]
            found.append(Given(limit, given.limit or 0.0, given.warning or 0.0, action))
    return found
