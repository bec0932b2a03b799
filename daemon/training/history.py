"""The history of a training: its rows, once; a tape of each instrument for the lanes; and the spans, cut in time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from daemon.backtest import EmptyTapeError
from engine.records import NO_TIME, RowKind, Ticks
from envs.spans import Shares, Span, SpanError, TimeSpan, common_closes, walk_forward
from envs.tapes import Tape, longest_window

if TYPE_CHECKING:
    from daemon.config.training import TrainingConfig
    from engine.spec import EngineSpec
    from envs.task import Task

BATCH_ROWS = 131_072


@dataclass(frozen=True)
class Times:
    """When an agent learns, is chosen and is judged: by the closes of bars, both ends included."""

    train: TimeSpan
    validation: TimeSpan
    test: TimeSpan


@dataclass(frozen=True)
class History:
    """What a training is made on.

    rows: of all instruments, merged; `instrument` counts those of `market`. market: the engine of the configuration, in which
    nobody trades. tapes: one an instrument that there are data of. data_hash: 32 hexadecimal digits, of the rows.
    """

    rows: Ticks
    market: EngineSpec
    task: Task
    tapes: tuple[Tape, ...]
    times: Times
    folds: tuple[Times, ...]  # of walk forward; none where it was not asked for
    embargo: int
    data_hash: str

    def spans(self, when: TimeSpan) -> list[Span]:
        """The bars of each tape in that time at which all features are there. Raises SpanError where one has none."""
        found = []
        for tape in self.tapes:
            start = max(int(np.searchsorted(tape.times, when.first_ns, side="left")), tape.ready)
            end = int(np.searchsorted(tape.times, when.last_ns, side="right"))
            if start >= end:
                raise SpanError(
                    f"{tape.name} has no bars with all features from {when.iso['start']} to {when.iso['end']}; "
                    "leave it out, begin later, or choose other spans"
                )
            found.append(Span(start, end))
        return found


def load_history(config: TrainingConfig) -> History:
    """Read the data of a training. Raises DataError, EmptyTapeError, TaskError, SpanError."""
    from daemon.config.spec import market_spec, sources
    from daemon.config.training_spec import markets, task
    from daemon.data.feed import open_feed

    batches = list(open_feed(sources(config), BATCH_ROWS))
    if not batches:
        raise EmptyTapeError("the data has no rows in the time that the configuration asks for")
    rows = Ticks(*(np.concatenate(column) for column in zip(*batches, strict=True)))
    market = market_spec(config, config.currencies)
    made = task(config)
    index = {i.name: k for k, i in enumerate(market.instruments)}
    tapes = tuple(
        Tape(name, of_instrument(rows, index[name]), given, made) for name, given in markets(config).items()
    )
    embargo = config.spans.embargo
    embargo = longest_window(made.features, made.timeframe_ns) if embargo is None else embargo
    times, folds = _cut(config, tapes, market.trade_from, embargo)
    return History(rows, market, made, tapes, times, folds, embargo, data_hash(rows))


def of_instrument(rows: Ticks, k: int) -> Ticks:
    """The rows of one instrument, as index 0: its prices and corporate actions; no deposits."""
    mine = (rows.instrument == k) & ((rows.flags & 15) != RowKind.CASH)
    alone = Ticks(*(np.ascontiguousarray(column[mine]) for column in rows))
    return alone._replace(instrument=np.zeros(int(mine.sum()), np.int32))


def data_hash(rows: Ticks) -> str:
    """A hash of all rows: 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for column in rows:
        digest.update(np.ascontiguousarray(column).astype(column.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _cut(
    config: TrainingConfig, tapes: Sequence[Tape], trade_from: int, embargo: int
) -> tuple[Times, tuple[Times, ...]]:
    closes = common_closes(
        [
            tape.times[max(tape.ready, int(np.searchsorted(tape.times, max(trade_from, NO_TIME)))) :]
            for tape in tapes
        ]
    )
    shares = Shares(config.spans.train, config.spans.validation, config.spans.test)

    def times(folds: int, anchored: bool) -> tuple[Times, ...]:
        cuts = walk_forward(len(closes), shares, embargo, folds, anchored=anchored)
        found = []
        for cut in cuts:
            train, validation, test = (s.times(closes) for s in (cut.train, cut.validation, cut.test))
            validation = _apart(train, validation, tapes, embargo)
            found.append(Times(train, validation, _apart(validation, test, tapes, embargo)))
        return tuple(found)

    wanted = config.spans.walk_forward
    return times(1, False)[0], times(wanted.folds, wanted.anchored) if wanted else ()


def _apart(before: TimeSpan, after: TimeSpan, tapes: Sequence[Tape], embargo: int) -> TimeSpan:
    """The later span, begun so late that every instrument has `embargo` bars of its own between the two.

    Spans are cut by the closes of all instruments together, of which one that trades at fewer hours has fewer.
    """
    first = after.first_ns
    for tape in tapes:
        seen = int(np.searchsorted(tape.times, before.last_ns, side="right"))
        if seen <= tape.ready:  # it has no part in the span before
            continue
        begin = seen + embargo
        first = max(first, int(tape.times[min(begin, len(tape) - 1)]))
    if first >= after.last_ns:
        raise SpanError(
            f"spans: an embargo of {embargo} bars leaves nothing of the span that ends {after.iso['end'][:10]}; "
            "take more bars, or features with shorter windows"
        )
    return TimeSpan(first, after.last_ns)
