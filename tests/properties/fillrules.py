"""Whether each fill of a run was allowed: on a row that may fill it, after its order was decided, at a price of the rules."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from engine.records import DAY, NEVER, OrderType, RowKind, Ticks, TimeInForce
from engine.spec import EngineSpec, InstrumentSpec
from tests.properties.books import Books


def check_fills(
    books: Books, tape: Ticks, prices: list[list[float]], opened: list[list[int]], after_fill: set[int]
) -> None:
    """Check the fills of a run.

    prices, opened: by row, the price of each instrument before it and the time of the row that had it.
    after_fill: orders given while a row's fills were being told, which that row cannot fill.
    """
    taken: Counter[tuple[int, int]] = Counter()
    for e in books.fills:
        spec, row, k = books.instrument(e), e["seq"], e["instrument"]
        assert row >= e["order_seq"] + (e["order_id"] in after_fill)
        assert e["ts"] >= e["submitted"] + spec.latency_ns
        if e[
            "parent"
        ]:  # released by a print, it waits for the next row; by a step of a path, for what is left of it
            begun = next(f for f in books.fills if f["order_id"] == e["parent"])
            at_once = begun["tif"] == TimeInForce.AT_THE_CLOSE or tape.flags[row] & 15 != RowKind.PRINT
            assert row >= begun["seq"] + (not at_once)
        _check_time(books, e, prices[row][k], opened[row][k])
        if e["tif"] == TimeInForce.AT_THE_CLOSE:
            _check_price(e, spec, RowKind.CLOSE, None, prices[row][k])
            continue
        assert tape.instrument[row] == k
        assert tape.ts_recv[row] <= e["ts"]
        kind = RowKind(tape.flags[row] & 15)
        assert kind <= RowKind.CLOSE
        _check_price(e, spec, kind, prices[row][k] or None, float(tape.price[row]))
        if spec.participation > 0.0:
            taken[row, e["account"]] += e["last_lots"]
            bound = spec.participation * float(tape.size[row]) / spec.lot_size
            assert taken[row, e["account"]] <= np.floor(bound * (1 + 1e-12))


def _check_price(
    e: dict[str, Any], spec: InstrumentSpec, kind: RowKind, before: float | None, price: float
) -> None:
    px, side, type_ = e["last_px"], e["side"], e["type"]
    if e["post_only"]:
        assert e["maker"], "it never takes liquidity"
    if type_ == OrderType.MARKET:
        assert kind != RowKind.EXTREME
        assert px == price if not spec.slippage_value else (px - price) * side >= 0
    elif type_ in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        assert (e["limit"] - px) * side >= 0, "never worse than the limit"
        if kind == RowKind.PRINT or before is None:
            assert px == price
        else:
            assert min(before, price) <= px <= max(before, price)
        if not spec.fill_at_touch and type_ == OrderType.LIMIT:
            assert px != price or price != e["limit"]
    elif spec.participation == 0.0 and not e["reduce_only"]:
        # else the rest of a triggered stop works on as a market order
        assert (px - e["stop"]) * side >= 0, "a stop costs at least its price"


def _check_time(books: Books, e: dict[str, Any], price: float, opened: int) -> None:
    """A fill comes within what the order's time in force allows."""
    spec, tif = books.instrument(e), e["tif"]
    mine = [f for f in books.fills if f["order_id"] == e["order_id"]]
    if tif in (TimeInForce.IOC, TimeInForce.FOK, TimeInForce.AT_THE_OPEN, TimeInForce.AT_THE_CLOSE):
        assert mine == [e], "one row fills it, or none"
    if tif == TimeInForce.FOK and not e["parent"]:
        assert e["cum_lots"] == e["lots"] == e["last_lots"]
    if tif == TimeInForce.GTD:
        assert e["ts"] < e["expires"]
    if tif == TimeInForce.DAY:
        assert len({session_at(books.spec, spec, f["ts"])[1] for f in mine}) == 1
        assert e["ts"] < e["expires"]
    if tif == TimeInForce.AT_THE_OPEN:
        start, _ = session_at(books.spec, spec, e["ts"])
        assert start <= e["ts"], "it opens while the market is open"
        assert opened < start, "this is the first row of its session"
    if tif == TimeInForce.AT_THE_CLOSE:
        start, end = session_at(books.spec, spec, e["ts"] - 1)
        assert e["ts"] == end
        assert opened >= start, "a session without a row has no close"
        assert price > 0.0


def session_at(spec: EngineSpec, instrument: InstrumentSpec, ts: int) -> tuple[int, int]:
    """[start, end) of the session that holds ts or of the next; a day, where there is no calendar; NEVER after the last."""
    if not instrument.calendar:
        start = (ts - instrument.day_offset_ns) // DAY * DAY + instrument.day_offset_ns
        return start, start + DAY
    sessions = spec.calendars[instrument.calendar]
    for start, end in zip(sessions.opens.tolist(), sessions.closes.tolist(), strict=True):
        if ts < end:
            return start, end
    return NEVER, NEVER
