"""Schedules worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from envs.qlearning.schedules import Schedule, pack_schedules, value_at
from tests.builders import plain


def values(schedule: Schedule, steps: int, at: tuple[int, ...]) -> list[float]:
    packed = pack_schedules((Schedule(9, 9), schedule), steps)[1]
    return [plain(value_at)(packed, step) for step in at]


def test_linear_schedule_falls_by_the_same_amount_over_its_share_and_then_stays() -> None:
    # 1 -> 0.2 over half of 1,000 steps: 0.0016 a step
    assert values(Schedule(1.0, 0.2, 0.5), 1000, (0, 1, 250, 500, 501, 5000)) == pytest.approx(
        [1.0, 0.9984, 0.6, 0.2, 0.2, 0.2], abs=1e-15
    )


def test_exponential_schedule_falls_by_the_same_factor() -> None:
    # 0.1 -> 0.001 over 200 steps: a tenth each 100
    assert values(Schedule(0.1, 0.001, 1.0, "exponential"), 200, (0, 50, 100, 200, 201)) == pytest.approx(
        [0.1, 0.1 / 10**0.5, 0.01, 0.001, 0.001], rel=1e-14
    )


def test_schedule_may_rise() -> None:
    assert values(Schedule(0.0, 4.0), 4, (0, 1, 2, 3, 4)) == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"start": -1.0, "end": 0.0}, "start is -1.0"),
        ({"start": 1.0, "end": float("nan")}, "end is nan"),
        ({"start": 1.0, "end": 0.0, "kind": "exponential"}, "end is 0; give a small number"),
        ({"start": 1.0, "end": 0.0, "share": 0.0}, "share is 0.0"),
        ({"start": 1.0, "end": 0.0, "share": 1.5}, "share is 1.5"),
        ({"start": 1.0, "end": 0.5, "kind": "cosine"}, "'cosine'; there are linear, exponential"),
    ],
)
def test_impossible_schedule_is_refused_with_what_is_wrong(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Schedule(**wrong)
