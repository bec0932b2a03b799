"""What a drill saw and found: one check a line."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from engine.records import Code


class Result(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CONFIGURED = "not configured"  # the configuration does not ask for what would be checked
    OUT_OF_REACH = "out of reach"  # it does, but nothing that can happen comes so far


@dataclass(frozen=True)
class Check:
    """One thing that was done to the gate, what had to come of it, and what did.

    Where it was not made, `happened` says why.
    """

    account: str
    strategy: str | None  # whose part of the account it is about; None: all of the account
    name: str
    injected: str
    expected: str
    happened: str
    result: Result

    @property
    def made(self) -> bool:
        """Whether there was an occasion for it."""
        return self.result in (Result.PASSED, Result.FAILED)

    def to_dict(self) -> dict[str, Any]:
        """Return its fields for JSON, but for the account's name."""
        return {name: value for name, value in asdict(self).items() if name != "account"}


@dataclass(frozen=True)
class Verdict:
    """What the gate said to an order."""

    code: Code
    lot: float  # units
    asked: int  # lots
    lots: int  # 0: denied
    measure: float  # shares of equity: of a limit on risk
    bound: float
    events: np.ndarray[Any, Any]

    @property
    def passed(self) -> bool:
        """Whether the order passed whole."""
        return self.lots == self.asked

    def same(self, other: Verdict) -> bool:
        """Whether two orders met the same gate."""
        return (self.code, self.asked, self.lots) == (other.code, other.asked, other.lots)

    def __str__(self) -> str:
        if self.passed:
            return f"{self._units(self.asked)} passed"
        done = f"cut to {self._units(self.lots)} of {self._units(self.asked)}" if self.lots else "denied"
        why = f", {self.measure:.2%} against {self.bound:.2%}" if self.bound else ""
        return f"{done}: {self.code.name}{why}"

    def _units(self, lots: int) -> str:
        return f"{lots * self.lot:,.15g}"


@dataclass
class Seen:
    """What was seen in the course of a check, each part with whether it was as it had to be."""

    told: list[str] = field(default_factory=list)
    good: bool = True

    def note(self, good: bool, told: str, otherwise: str) -> bool:
        """Take down one part: `told` where it was good, else `otherwise`. Whether it was."""
        self.told.append(told if good else otherwise)
        self.good = self.good and good
        return good

    def fail(self, told: str) -> None:
        """Take down what was not as it had to be."""
        self.note(False, "", told)

    def __str__(self) -> str:
        return "; ".join(self.told)
