"""Tapes that are made up: the prices of a random process on an exchange's days.

A tape is a function of its settings, the seed and the instrument's name; a longer one begins with the rows of a shorter
one. Arrivals, sizes, moves, regimes and jumps have random numbers of their own: without its jumps, a tape has the same
moves at the same times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import log
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from daemon.data import arrivals, processes
from daemon.data.errors import DataError
from daemon.data.formats import BAR_FIELDS, TICK_FIELDS, Layout
from daemon.data.rawblocks import RawBlock
from engine.records import DAY

if TYPE_CHECKING:
    from daemon.config.synthetic import SyntheticData

Array = np.ndarray[Any, Any]

ROWS = 1 << 14  # of a block, about: short sessions are put together
ALWAYS = (-100 * 365 * DAY, 200 * 365 * DAY)  # the days of a market that is never closed


@dataclass(frozen=True)
class Recipe:
    """What a synthetic tape is made by: the configuration's entry, and what its run and its instrument add to it."""

    given: SyntheticData
    seed: int
    tick_size: float = 0.01
    lot_size: float = 1.0
    calendar: str = "XNYS"

    @cached_property
    def sessions(self) -> tuple[Array, Array]:
        """(n,) opens and closes of its first session and all that the calendar has after it, int64 ns UTC."""
        from daemon.config.types import ns_of

        opens, closes = self._calendar
        first = int(np.searchsorted(opens, ns_of(self.given.start)))
        return opens[first:], closes[first:]

    @cached_property
    def days(self) -> int:
        """How many sessions it has. Raises DataError where there is none, or the calendar has too few."""
        from daemon.config.types import ns_of

        opens, _ = self.sessions
        if self.given.days is not None:
            key, days = "days", self.given.days
        else:
            assert self.given.end  # one of the two is given
            key, days = "end", int(np.searchsorted(opens, ns_of(self.given.end)))
        if len(opens) and not days:
            raise self._error(key, "no session opens between start and end; choose a later end")
        if days < len(opens) or (days == len(opens) and self.given.days):
            return days
        last = np.datetime64(int(self._calendar[1][-1]), "ns").astype("datetime64[D]")
        raise self._error(
            key, f"the calendar {self.calendar} ends on {last}; choose an earlier start, or fewer days"
        )

    @cached_property
    def day_ns(self) -> int:
        """How long a whole session is; a half day is a part of it."""
        opens, closes = self._calendar
        return int(np.median(closes - opens))

    @cached_property
    def prints_per_day(self) -> float:
        """Prints of a whole session. Raises DataError where prices and sizes do not fit the instrument."""
        from daemon.config.synthetic import PRINTS_PER_BAR, PRINTS_PER_DAY, misfits

        bar_ns = self.given.bar
        usual = max(1, self.day_ns / bar_ns) * PRINTS_PER_BAR if bar_ns else PRINTS_PER_DAY
        prints = float(self.given.ticks_per_day or usual)
        for keys, problem in misfits(self.given, self.tick_size, self.lot_size, prints):
            raise self._error(".".join(map(str, keys)), problem)
        return prints

    @cached_property
    def _calendar(self) -> tuple[Array, Array]:
        from daemon.calendars import sessions

        found = sessions(self.calendar, whole_days=self.given.bar == DAY)
        if not len(found.opens):  # never closed: UTC days
            opens = np.arange(*ALWAYS, DAY)
            return opens, opens + DAY
        return found.opens, found.closes

    def _error(self, key: str, problem: str) -> DataError:
        return DataError(f"{name_of(self)}: {key}: {problem}")


def name_of(recipe: Recipe) -> str:
    """What stands in messages where a file has its path."""
    return f"synthetic {recipe.given.instrument}"


def columns(recipe: Recipe) -> Iterator[dict[str, Array]]:
    """The rows of a tape in time order, block by block; memory is bounded.

    Ticks: ts (int64 ns UTC), price, size (float64); bars: ts (the start), open, high, low, close, volume. Prices are
    positive multiples of the tick size, sizes whole lots. Raises DataError where the tape cannot be made, and where a
    price leaves what numbers can hold; CalendarError where there is no such calendar.
    """
    prints = _prints(recipe)
    if recipe.given.bar:
        blocks = arrivals.to_bars(prints, recipe.given.bar)
    else:
        blocks = ({"ts": p.ts, "price": p.price, "size": p.size} for p in prints)
    for block in _gathered(blocks):
        yield {
            name: column
            if name == "ts"
            else _on_grid(column, recipe.lot_size if name in ("size", "volume") else recipe.tick_size)
            for name, column in block.items()
        }


def _prints(recipe: Recipe) -> Iterator[arrivals.Prints]:
    given, day_ns, per_day = recipe.given, recipe.day_ns, recipe.prints_per_day
    seed = np.random.SeedSequence([recipe.seed, int.from_bytes(given.instrument.encode(), "big")])
    timing, sizing, *moving = (np.random.Generator(np.random.PCG64(s)) for s in seed.spawn(5))
    path = _path(recipe, *moving)
    table = arrivals.Timetable(*recipe.sessions, day_ns, per_day, arrivals.SHAPES[given.volume.shape])
    mean_lots = given.volume.daily / per_day / recipe.lot_size
    for ts, days, span, wanted in table.chunks(recipe.days, given.arrivals == "even", timing):
        log_price = path.advance(days, span)[:wanted]
        if wanted:
            size = arrivals.lots(wanted, mean_lots, sizing)
            yield arrivals.Prints(ts[:wanted], _ticks(recipe, log_price), size)


def _path(
    recipe: Recipe, moves: np.random.Generator, switches: np.random.Generator, leaps: np.random.Generator
) -> processes.Path:
    from daemon.calendars import days_per_year

    given, year = recipe.given, days_per_year(recipe.calendar)
    start = log(given.price)
    jumps = (
        processes.Jumps(given.jumps.per_year / year, given.jumps.mean, given.jumps.deviation, leaps)
        if given.jumps
        else processes.Jumps(0.0, 0.0, 0.0, leaps)
    )
    if given.model == "ou":
        assert given.mean  # the configuration has filled in what its model needs
        assert given.half_life
        assert given.volatility is not None
        variance = given.volatility**2 / year
        return processes.Reversion(start, log(given.mean), given.half_life, variance, jumps, moves)
    if given.model == "gbm":
        assert given.drift is not None
        assert given.volatility is not None
        states = [processes.State(given.drift / year, given.volatility**2 / year)]
    else:
        assert given.regimes
        states = []
        for i, r in enumerate(given.regimes):
            weights = r.next or tuple(float(j != i) for j in range(len(given.regimes)))
            following = tuple(w / sum(weights) for w in weights)
            states.append(processes.State(r.drift / year, r.volatility**2 / year, r.days, following))
    return processes.Diffusion(start, processes.Chain(states, switches), jumps, moves)


def _ticks(recipe: Recipe, log_price: Array) -> Array:
    # the nearest ticks, at least one
    log_price -= log(recipe.tick_size)
    highest = float(log_price.max())
    if not highest < log(2**53):  # above that not each number of ticks is a float
        raise DataError(
            f"{name_of(recipe)}: the price has grown beyond all bounds; lower drift, volatility or days"
        )
    ticks = np.exp(log_price, out=log_price)
    return np.maximum(np.rint(ticks, out=ticks), 1.0, out=ticks)


def _on_grid(whole: Array, step: float) -> Array:
    # steps of 0.01 are hundredths: the quotient is the float that one would write, the product not always
    parts = round(1 / step)
    return whole / parts if parts and parts * step == 1 else whole * step


def _gathered(blocks: Iterator[dict[str, Array]]) -> Iterator[dict[str, Array]]:
    held: list[dict[str, Array]] = []
    rows = 0
    for block in blocks:
        held.append(block)
        rows += len(block["ts"])
        if rows >= ROWS:
            yield _stacked(held)
            held, rows = [], 0
    if rows:
        yield _stacked(held)


def _stacked(blocks: list[dict[str, Array]]) -> dict[str, Array]:
    if len(blocks) == 1:
        return blocks[0]
    return {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]}


class SyntheticReader:
    """A synthetic tape as a file that is never written; a Reader. Raises DataError as `columns` does, when it is made."""

    def __init__(self, recipe: Recipe) -> None:
        fields = BAR_FIELDS if recipe.given.bar else TICK_FIELDS
        self.path = FilePath(name_of(recipe))
        self.layout = Layout(
            ("ts", *fields), {ours: (i,) for i, ours in enumerate(("time", *fields))}, header_lines=0
        )
        self.rows: int | None = None  # chance decides
        self.weight = recipe.days
        self.done = 0.0
        recipe.prints_per_day  # noqa: B018 - refused now, not on the way
        self._recipe = recipe

    def blocks(self, block_rows: int) -> Iterator[RawBlock]:
        """The rows, at most so many at a time."""
        opens, closes = self._recipe.sessions
        begin, span, row = int(opens[0]), int(closes[self._recipe.days - 1] - opens[0]), 1
        for block in columns(self._recipe):
            for i in range(0, len(block["ts"]), block_rows):
                piece = {name: column[i : i + block_rows] for name, column in block.items()}
                ts = piece.pop("ts")
                arrays = {name: pa.array(column) for name, column in piece.items()}
                arrays["time"] = pa.array(ts).view(pa.timestamp("ns", "UTC"))
                self.done = (int(ts[-1]) - begin) / span
                yield RawBlock(range(row, row + len(ts)), arrays, [])
                row += len(ts)
        self.done = 1.0
