"""A bar and its path, against the plain definition, one bar at a time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bars import bar_path
from engine.records import SECOND, TICK_DTYPES, RowKind
from tests.builders import MINUTE, make_bars, make_ticks, timer_at
from tests.stories.desk import closed_bars, make_world


@st.composite
def ohlcv(draw: Any) -> tuple[float, float, float, float, float]:
    low = draw(st.integers(1, 1_000))
    high = low + draw(st.integers(0, 1_000))
    inside = st.integers(low, high)
    return (draw(inside) / 8, high / 8, low / 8, draw(inside) / 8, float(draw(st.integers(0, 10**9))))


@given(st.lists(ohlcv(), min_size=1, max_size=20))
def test_path_of_bars_is_open_nearer_extreme_other_extreme_close(bars: list[tuple[float, ...]]) -> None:
    rows = make_bars(bars, first=5 * MINUTE)
    for i, (open_, high, low, close, volume) in enumerate(bars):
        middle = [high, low] if high - open_ < open_ - low else [low, high]
        assert rows.price[4 * i : 4 * i + 4].tolist() == [open_, *middle, close]
        assert rows.size[4 * i : 4 * i + 4].sum() == volume
        start = (5 + i) * MINUTE
        assert rows.ts_event[4 * i : 4 * i + 4].tolist() == [start, *[start + MINUTE - 1] * 3]


@given(st.lists(ohlcv(), min_size=1, max_size=8))
def test_bars_out_are_the_bars_in(bars: list[tuple[float, ...]]) -> None:
    engine = make_world(history=8)
    engine.process(make_bars(bars))
    engine.process(timer_at(len(bars) * MINUTE))
    assert [b[1:6] for b in closed_bars(engine)] == bars


def test_columns_have_the_types_of_a_tape() -> None:
    open_, high, low, close = (np.array([p]) for p in (1.0, 2.0, 0.5, 1.5))
    rows = bar_path(np.array([0]), SECOND, open_, high, low, close, np.array([7], np.int64), instrument=3)
    assert tuple(c.dtype for c in rows) == tuple(np.dtype(d) for d in TICK_DTYPES)
    assert rows.instrument.tolist() == [3] * 4
    assert rows.flags.tolist() == [RowKind.PRINT, RowKind.EXTREME, RowKind.EXTREME, RowKind.CLOSE]
    assert rows.size.tolist() == [1.75] * 4


def test_no_bars_are_no_rows() -> None:
    assert len(make_bars([]).price) == 0


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_ring_keeps_the_newest_bars(size: int) -> None:
    engine = make_world(history=size)
    n = 2 * size + 1
    engine.process(make_ticks([(k * MINUTE, 100.0 + k) for k in range(n + 1)]))
    assert [b[1] for b in closed_bars(engine)][-size:] == [100.0 + k for k in range(n - size, n)]
