"""History through the engine before the first decision, and what is still missing behind it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from daemon.backtest import BATCH_ROWS
from engine.records import BarKind, Ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from daemon.config.paper import PaperConfig
    from daemon.data.feed import Source
    from daemon.live.core import Core
    from engine.engine import Engine


def history(config: PaperConfig, trade_from: int) -> Iterable[Ticks]:
    """The rows of the configuration's data, as far as a session needs that decides from trade_from (ns UTC) on.

    Of a replay they go on behind it. Raises DataError.
    """
    from daemon.backtest import open_tape
    from daemon.data.feed import open_feed

    if not config.data:
        return ()
    if config.live:
        return open_feed(_ended(config, trade_from), BATCH_ROWS)
    return open_tape(config, BATCH_ROWS)


def _ended(config: PaperConfig, now: int) -> list[Source]:
    """What had ended by now, ns UTC, of `warmup` at most; the rest of the path of a bar that has not would lie in the future."""
    from daemon.config.spec import sources

    # they count warmup back from start
    begun = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now // 1000)
    read = sources(config.model_copy(update={"start": begun}))
    return [replace(source, end=now - source.bar_ns + 1) for source in read]


def warm_up(core: Core, tape: Iterable[Ticks], until: int, tell: Callable[[int], None]) -> int:
    """Put the rows before a time (ns UTC) through the engine; how many. tell: hears how many it were so far."""
    rows = 0
    for ticks in tape:
        n = int(np.searchsorted(ticks.ts_recv, until))
        if n:
            core.warm_up(ticks if n == len(ticks.price) else Ticks(*(column[:n] for column in ticks)))
        rows += n
        tell(rows)
        if n < len(ticks.price):
            break
    return rows


def too_coarse(config: PaperConfig, engine: Engine) -> list[int]:
    """The series, by index, that the history's bars are too long for: daily bars make no minutes."""
    bars: dict[int, int] = {}
    for data in config.data:
        k = engine.instrument_index[data.instrument]
        bars[k] = max(bars.get(k, 0), data.bar)
    found = []
    for i, series in enumerate(engine.state.series):
        bar = bars.get(int(series.instrument), 0)
        if bar and (series.kind != BarKind.TIME or series.timeframe % bar):
            found.append(i)
    return found


def missing(engine: Engine) -> list[str]:
    """What strategies and limits still lack, in words; they decide, or are measured, when they have it."""
    s, spec = engine.state, engine.spec
    found = []
    names = [i.name for i in spec.instruments]
    if no_price := [names[k] for k in range(len(names)) if not s.instruments[k].price > 0.0]:
        found.append(f"no price yet: {', '.join(no_price)}")
    for i, strategy in enumerate(spec.strategies):
        row = s.strategies[i]
        lacking = []
        for slot in s.slots[row.first_slot : row.first_slot + row.n_slots]:
            observed = s.observed[slot.first_feature : slot.first_feature + slot.n_features]
            unknown = [
                strategy.features[j]
                for j, feature in enumerate(observed)
                if feature >= 0 and np.isnan(s.features[feature].value)
            ]
            if unknown:
                lacking.append(f"{names[slot.instrument]} ({', '.join(unknown)})")
        if lacking:
            found.append(f"{strategy.name}: not enough bars of {', '.join(lacking)}")
    for risk in s.risk:
        short = [k for k in range(len(names)) if s.histories[k].rows < risk.least]
        if short:
            shown = ", ".join(f"{names[k]} has {s.histories[k].rows}" for k in short[:8])
            more = f" and {len(short) - 8} more" if len(short) > 8 else ""
            found.append(f"scenarios: {risk.least} returns are needed, {shown}{more}")
    return found
