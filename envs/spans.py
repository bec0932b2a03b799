"""Which bars an agent learns from, which choose among its versions, and which judge it: spans in order of time.

Between two spans lies an embargo, bars that belong to neither: a feature looks back over a window of bars, and on the
first bars after a border it would still see the span before. An embargo as long as the longest window keeps every bar out
of the sight of two spans; they are what the features of the span behind it warm up on.

    one split          [ train ........ ] e [ validation ] e [ test ]
    walk forward,      [ train .... ] e [ validation ] e [ test ]
    rolling                   [ train .... ] e [ validation ] e [ test ]
    walk forward,      [ train .... ] e [ validation ] e [ test ]
    anchored           [ train ........... ] e [ validation ] e [ test ]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class SpanError(ValueError):
    """Spans cannot be cut as asked; the message says which is empty and what to change."""


@dataclass(frozen=True)
class TimeSpan:
    """Bars by the times of their closes: first_ns and last_ns, ns UTC, both included."""

    first_ns: int
    last_ns: int

    def __post_init__(self) -> None:
        if self.first_ns > self.last_ns:
            raise SpanError(
                f"a span from {_iso(self.first_ns)} to {_iso(self.last_ns)}; it ends before it begins"
            )

    @property
    def iso(self) -> dict[str, str]:
        """{"start": ..., "end": ...} of the first and the last close, ISO 8601 UTC."""
        return {"start": _iso(self.first_ns), "end": _iso(self.last_ns)}

    def bars(self, closes: Array) -> Span:
        """The span among (n,) int64 ascending closes, ns, of one instrument. Raises SpanError where it has none there."""
        start = int(np.searchsorted(closes, self.first_ns, side="left"))
        end = int(np.searchsorted(closes, self.last_ns, side="right"))
        if start >= end:
            raise SpanError(
                f"no bar closes from {_iso(self.first_ns)} to {_iso(self.last_ns)}; "
                "leave the instrument out, or choose other spans"
            )
        return Span(start, end)


@dataclass(frozen=True)
class Span:
    """Bars start to end - 1 of a series; never empty."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise SpanError(f"a span of the bars from {self.start} to before {self.end} is empty")

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def slice(self) -> slice:
        """Cuts the span out of an array of all bars."""
        return slice(self.start, self.end)

    def times(self, closes: Array) -> TimeSpan:
        """The same in time, by the (n,) int64 ascending closes, ns, of all bars."""
        if self.end > len(closes):
            raise SpanError(f"a span that ends before bar {self.end}, of {len(closes)} bars")
        return TimeSpan(int(closes[self.start]), int(closes[self.end - 1]))


@dataclass(frozen=True)
class Shares:
    """Parts of the bars outside the embargoes; each above 0, together 1."""

    train: float = 0.6
    validation: float = 0.2
    test: float = 0.2

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test"):
            share = getattr(self, name)
            if not 0.0 < share < 1.0:
                raise SpanError(f"spans.{name} is {share}; it must lie between 0 and 1")
        total = self.train + self.validation + self.test
        if abs(total - 1.0) > 1e-9:
            raise SpanError(f"spans: the shares add up to {total:g}; they must add up to 1")


@dataclass(frozen=True)
class Split:
    """Three spans in order of time."""

    train: Span
    validation: Span
    test: Span


def common_closes(instruments: Sequence[Array]) -> Array:
    """Times at which a bar of any instrument closes, from the ascending int64 closes of each: (n,) ascending, each once.

    Spans of several instruments are cut here and then looked up in each (`Span.times`, `TimeSpan.bars`), so that a
    training span of one never reaches into the test span of another.
    """
    if not instruments:
        raise SpanError("spans of no instrument; name one at least")
    return np.unique(np.concatenate(instruments))


def split(bars: int, shares: Shares, embargo: int) -> Split:
    """Cut the first to the last of so many bars into three, with embargo bars in each gap between them.

    What rounding leaves over goes to the training span. Raises SpanError where a span would be empty.
    """
    return walk_forward(bars, shares, embargo, folds=1)[0]


def walk_forward(
    bars: int, shares: Shares, embargo: int, folds: int, *, anchored: bool = False
) -> tuple[Split, ...]:
    """Splits whose test spans follow each other without a gap or an overlap, up to the last bar.

    Rolling: every fold is a window of the same length, cut by the shares, that starts one test span after the one before.
    Anchored: each fold trains from the first bar on; the first fold is the rolling one's. One fold is `split`. Raises
    SpanError where a span would be empty.
    """
    if bars < 1 or embargo < 0 or folds < 1:
        raise SpanError(
            f"spans of {bars} bars, an embargo of {embargo}, {folds} folds; each must be positive, or no embargo"
        )
    # A window has u bars outside its embargoes, and the folds after the first add one test span each:
    # bars = u + 2 embargo + (folds - 1) test u
    window = (bars - 2 * embargo) / (1.0 + (folds - 1) * shares.test)
    test, validation = round(shares.test * window), round(shares.validation * window)
    train = bars - 2 * embargo - validation - folds * test
    for name, length in (("train", train), ("validation", validation), ("test", test)):
        if length < 1:
            raise SpanError(
                f"spans.{name} is empty: {bars} bars with two embargoes of {embargo} in {folds} "
                f"{'fold' if folds == 1 else 'folds'} leave nothing for it; take more bars, features with shorter "
                "windows, fewer folds, or a larger share"
            )
    found = []
    for fold in range(folds):
        end = train + fold * test
        first = end + embargo
        second = first + validation + embargo
        found.append(
            Split(
                Span(0 if anchored else fold * test, end),
                Span(first, first + validation),
                Span(second, second + test),
            )
        )
    return tuple(found)


def _iso(ns: int) -> str:
    from strategies.errors import iso_utc  # its package loads the compiler

    return iso_utc(ns)
