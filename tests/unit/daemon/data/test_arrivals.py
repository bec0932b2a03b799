"""When synthetic prints come, how large they are, and the bars that they make."""

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest

from daemon.data import arrivals
from daemon.data.arrivals import Chunk, Prints, Timetable, flat, lots, to_bars, u_shaped
from engine.records import DAY
from tests.unit.daemon.data.reading import HOUR, MINUTE


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def times(prints: float, shape: Callable = flat, even: bool = False, seed: int = 1) -> np.ndarray:
    return np.concatenate([c.ts[: c.wanted] for c in chunks(prints, shape, even, seed)])


def chunks(prints: float, shape: Callable = flat, even: bool = False, seed: int = 1) -> list[Chunk]:
    """Of one session from 1 to 3 o'clock, with another one behind it on the next day."""
    opens = np.array([HOUR, DAY + HOUR])
    table = Timetable(opens, opens + 2 * HOUR, 2 * HOUR, prints, shape)
    return list(table.chunks(1, even, rng(seed)))


def test_u_shape_inverts_its_share_of_the_volume() -> None:
    t = np.linspace(0, 1, 1_001)
    # the integral of 0.5 + 1.5 * (2t - 1)^2 from 0 to t
    share = 0.5 * t + 0.25 * ((2 * t - 1) ** 3 + 1)
    assert u_shaped(share) == pytest.approx(t, abs=1e-12)


def test_u_shape_trades_four_times_as_much_at_the_ends_as_in_the_middle() -> None:
    ts = (times(200_000, u_shaped) - HOUR) / (2 * HOUR)
    first, middle, last = (np.sum((a <= ts) & (ts < a + 0.02)) for a in (0.0, 0.49, 0.98))
    # the rate over a fiftieth at the edge is 0.5 + 1.5 * (0.96 + 0.96^2 + 1) / 3 = 1.9408, in the middle 0.5002
    for count in (first, last):
        assert abs(count - 200_000 * 0.02 * 1.9408) < 4 * sqrt(7_763)
    assert abs(middle - 200_000 * 0.02 * 0.5002) < 4 * sqrt(2_001)


def test_flat_prints_are_a_poisson_process() -> None:
    gaps = np.diff(times(100_000)) / (2 * HOUR / 100_000)
    n = len(gaps)
    assert abs(n - 100_000) < 4 * sqrt(100_000)
    assert abs(gaps.mean() - 1) < 0.02
    assert abs(gaps.std() - 1) < 0.02  # exponential
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 4 / sqrt(n)
    counts = [len(times(50, seed=seed)) for seed in range(2_000)]
    assert abs(np.mean(counts) - 50) < 4 * sqrt(50 / 2_000)
    assert abs(np.var(counts) - 50) < 4 * 50 * sqrt(2 / 2_000)


@pytest.mark.parametrize("n", [1, 8, 50_000])
def test_even_prints_keep_their_rhythm_from_the_open_on(n: int) -> None:
    ts = times(n, even=True)
    assert len(ts) == n
    assert ts[0] == HOUR
    assert np.abs(np.diff(ts) - 2 * HOUR / n).max(initial=0) <= 1


@pytest.mark.parametrize("shape", [flat, u_shaped])
@pytest.mark.parametrize("even", [True, False])
def test_chunks_follow_each_other_and_go_on_behind_the_end(shape: Callable, even: bool) -> None:
    found = chunks(70_000, shape, even)
    assert len(found) == 5  # of 16,384 prints, about
    for chunk in found:
        assert 16_000 < len(chunk.ts) < 16_800
        assert 0 <= chunk.days[0] <= chunk.days[-1] <= chunk.span
        assert np.all(np.diff(chunk.ts) >= 0)
        assert np.all(np.diff(chunk.days) >= 0)
    assert [c.wanted for c in found[:-1]] == [len(c.ts) for c in found[:-1]]
    assert found[-1].ts[found[-1].wanted - 1] < 3 * HOUR
    assert found[-1].ts[found[-1].wanted] >= DAY + HOUR
    # 5 * 16,384 of 70,000 a day: one day and 0.17 of the volume of the next
    assert sum(c.span for c in found) == pytest.approx(1 + float(shape(np.array([81_920 / 70_000 - 1]))[0]))


def test_time_stands_still_between_sessions() -> None:
    opens = np.array([HOUR, DAY + HOUR, 5 * DAY])
    closes = opens + np.array([2 * HOUR, HOUR, 2 * HOUR])  # the second is a half day
    (chunk,) = Timetable(opens, closes, 2 * HOUR, 4, flat).chunks(3, True, rng())
    assert chunk.wanted == len(chunk.ts) == 10
    half = HOUR // 2
    assert chunk.ts.tolist() == [
        *(HOUR + k * half for k in range(4)),
        *(DAY + HOUR + k * half for k in range(2)),
        *(5 * DAY + k * half for k in range(4)),
    ]
    assert chunk.days == pytest.approx(np.arange(10) / 4)
    assert chunk.span == pytest.approx(2.5)


def test_prints_at_the_very_end_stay_before_the_close() -> None:
    opens = np.array([0, 100])
    (chunk,) = Timetable(opens, opens + 10, 10, 1_000, flat).chunks(
        2, True, rng()
    )  # a hundred each nanosecond
    assert np.unique(chunk.ts).tolist() == [*range(10), *range(100, 110)]


def test_sizes_are_geometric_and_at_least_one_lot() -> None:
    sizes = lots(100_000, 5.0, rng())
    assert sizes.min() == 1
    assert np.all(sizes == np.floor(sizes))
    assert abs(sizes.mean() - 5) < 4 * sqrt(20 / 100_000)  # its variance is m * (m - 1)
    assert abs((sizes == 1).mean() - 1 / 5) < 4 * sqrt(0.16 / 100_000)
    assert np.all(lots(9, 1.0, rng()) == 1)


def test_bars_take_the_prints_of_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ts = np.array([0, 59, 60, 61, 200, 239]) * MINUTE // 60
    price = np.array([5.0, 3.0, 9.0, 4.0, 6.0, 7.0])
    size = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    expected = [  # nothing was traded in the third minute
        (0, 5.0, 5.0, 3.0, 3.0, 3.0),
        (MINUTE, 9.0, 9.0, 4.0, 4.0, 12.0),
        (3 * MINUTE, 6.0, 7.0, 6.0, 7.0, 48.0),
    ]
    for size_of_part in (1, 2, 3, 6):
        parts = [
            Prints(*(c[i : i + size_of_part] for c in (ts, price, size))) for i in range(0, 6, size_of_part)
        ]
        bars = list(to_bars(iter(parts), MINUTE))
        rows = [row for block in bars for row in zip(*(c.tolist() for c in block.values()), strict=True)]
        assert rows == expected
    assert list(to_bars(iter([]), MINUTE)) == []


def test_chunk_size_changes_how_prints_are_cut_and_not_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    before = times(10_000, even=True)
    monkeypatch.setattr(arrivals, "CHUNK", 100)
    assert np.array_equal(times(10_000, even=True), before)
