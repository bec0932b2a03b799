"""Jumps that look like splits."""

from __future__ import annotations

import numpy as np
import pytest

from daemon.data.quality import Kind, examine
from engine.records import DAY
from tests.unit.daemon.data.oddities import (
    FIELDS,
    WAVE,
    kinds,
    minutes,
    only,
    split,
    trades,
    without,
)
from tests.unit.daemon.data.reading import MINUTE, ns


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (3, 2),
        (2, 1),
        (3, 1),
        (4, 1),
        (5, 1),
        (7, 1),
        (10, 1),
        (20, 1),
        (2, 3),
        (1, 2),
        (1, 4),
        (1, 10),
        (1, 20),
    ],
)
@pytest.mark.parametrize("move", [0.97, 1.0, 1.03])
def test_jump_by_a_ratio_of_splits_is_found_though_the_market_moved(new: int, old: int, move: float) -> None:
    rows = split(new / old * move)
    found = only(examine(rows, DAY, "XNYS"))
    assert (found.kind, found.ts, found.value) == (Kind.SPLIT_LIKE, int(rows["ts"][60]), new / old)
    assert f"looks like a split of {new}:{old}; the volume too changes" in found.text


def test_volume_that_does_not_follow_is_told() -> None:
    found = only(examine(split(2, volume=0.5), DAY, "XNYS"))
    assert found.text.endswith("the volume does not follow, it changes 0.5 times")


@pytest.mark.parametrize("ratio", [1.1, 1.3, 1.7, 2.5, 6.0, 13.0])
def test_jump_by_another_ratio_is_no_split(ratio: float) -> None:
    assert "split_like" not in kinds(examine(split(ratio), DAY, "XNYS"))


def test_jump_that_comes_back_within_days_is_no_split() -> None:
    rows = split(2)
    for field in FIELDS[:4]:
        rows[field][64:] *= 2
    assert "split_like" not in kinds(examine(rows, DAY, "XNYS"))


def test_jump_over_months_without_rows_is_no_split() -> None:
    rows = split(2)
    assert "split_like" not in kinds(examine(without(rows, *range(45, 60)), DAY, "XNYS"))
    assert "split_like" in kinds(examine(without(rows, *range(56, 60)), DAY, "XNYS"))


def test_split_whose_first_minute_still_has_the_old_price_is_found() -> None:
    days = [minutes(f"2024-07-0{d}T13:30:00", f"2024-07-0{d}T20:00:00") for d in (1, 2)]
    rows = {k: np.concatenate([d[k] for d in days]) for k in days[0]}
    for field in FIELDS[:4]:
        rows[field][390:] /= 7
    rows["open"][390] = rows["high"][390] = 101.0
    found = only(examine(rows, MINUTE, "XNYS"))
    assert (found.kind, found.ts, found.value) == (Kind.SPLIT_LIKE, ns("2024-07-02T13:30:00"), 7)


def test_split_between_trades_is_found() -> None:
    found = examine(trades(WAVE[:200] + [p / 4 for p in WAVE[200:]]), 0, "XNYS").findings
    assert [(f.kind, f.value) for f in found] == [(Kind.SPLIT_LIKE, 4)]
