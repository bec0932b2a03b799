"""How a number, such as the learning rate, goes from where it starts to where it ends while an agent learns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from engine.jit import jit
from engine.models import Array

Kind = Literal["linear", "exponential"]

SCHEDULE = np.dtype([("start", "f8"), ("end", "f8"), ("steps", "f8"), ("exponential", "i8")])


@dataclass(frozen=True)
class Schedule:
    """From `start` to `end` over the first `share` of the steps, and `end` from there on.

    linear: by the same amount each step. exponential: by the same factor each step; both ends are positive then.
    Raises ValueError for a share outside of (0, 1], an unknown kind, or a number that is negative or not finite.
    """

    start: float
    end: float
    share: float = 1.0
    kind: Kind = "linear"

    def __post_init__(self) -> None:
        for name, value in (("start", self.start), ("end", self.end)):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"a schedule's {name} is {value}; it must be a number from 0 up")
            if self.kind == "exponential" and value == 0:
                raise ValueError(f"an exponential schedule's {name} is 0; give a small number, or use linear")
        if not 0 < self.share <= 1:
            raise ValueError(f"a schedule's share is {self.share}; it must be above 0 and at most 1")
        if self.kind not in get_args(Kind):
            raise ValueError(f"a schedule's kind is {self.kind!r}; there are {', '.join(get_args(Kind))}")


def pack_schedules(schedules: tuple[Schedule, ...], steps: int) -> Array:
    """(n,) SCHEDULE: the schedules of a training of so many steps, as `value_at` reads them."""
    rows = [(s.start, s.end, s.share * steps, s.kind == "exponential") for s in schedules]
    return np.array(rows, SCHEDULE).view(np.recarray)


@jit
def value_at(schedule: Any, step: int) -> float:
    """What a schedule, a SCHEDULE, is at a step; the first step is 0."""
    if step >= schedule.steps:
        return schedule.end
    share = step / schedule.steps
    if schedule.exponential:
        return schedule.start * math.pow(schedule.end / schedule.start, share)
    return schedule.start + (schedule.end - schedule.start) * share
