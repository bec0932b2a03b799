"""What a run leaves: three Parquet files, written while it runs, and the hash by which runs are compared.

Rows are written in groups of a fixed size: memory does not grow with the tape, and the files do not depend on how it
was cut into batches. Amounts of money are in the smallest unit of the account's currency (a millionth, unless the
configuration says otherwise), quantities in units of the instrument, times in UTC. A value that an order does not have
(the limit of a market order, the average price of one that never filled) is null.

orders.parquet   one row an order, as it ended, in the order of their ends; then those still working, by id
fills.parquet    one row a fill
equity.parquet   one row an account whenever a bar closes in which one of its strategies trades
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.records import EQUITY, EVENT, NONE, Code, EventKind, OrderType, Side, Status, TimeInForce

if TYPE_CHECKING:
    from engine.engine import Events
    from engine.spec import EngineSpec

Array = np.ndarray[Any, Any]

ROW_GROUP = 65_536
ENDED = (Status.FILLED, Status.CANCELED, Status.EXPIRED, Status.REJECTED, Status.DENIED)
TIME = pa.timestamp("ns", "UTC")
NAME = pa.dictionary(pa.int32(), pa.string())

ORDERS = {
    "id": pa.int64(),
    "account": NAME,
    "strategy": NAME,
    "instrument": NAME,
    "side": NAME,
    "type": NAME,
    "time_in_force": NAME,
    "quantity": pa.float64(),
    "limit": pa.float64(),
    "stop": pa.float64(),
    "status": NAME,
    "cum_qty": pa.float64(),
    "avg_px": pa.float64(),
    "fees_micros": pa.int64(),
    "code": NAME,  # why it was denied, or ended otherwise than its owner wished
    "submitted": TIME,
    "updated": TIME,  # its last change
    "seq": pa.int64(),  # rows of the tape that had come when it was decided
    "observation": pa.list_(pa.float64()),  # what it was decided on; the features' names are in the metadata
    "tag": pa.int64(),
}
FILLS = {
    "ts": TIME,
    "order_id": pa.int64(),
    "account": NAME,
    "strategy": NAME,
    "instrument": NAME,
    "side": NAME,
    "last_qty": pa.float64(),
    "last_px": pa.float64(),
    "notional_micros": pa.int64(),
    "fee_micros": pa.int64(),
    "realized_micros": pa.int64(),  # profit that this fill realised, before fees
    "position": pa.float64(),  # of the strategy in the instrument, after it
    "cash_micros": pa.int64(),  # of the account, after it
    "maker": pa.bool_(),
    "seq": pa.int64(),
}
EQUITIES = {"ts": TIME, "account": NAME, "cash_micros": pa.int64(), "equity_micros": pa.int64()}


class ResultFiles:
    """The three files of one run, in `folder`. `add` what each batch caused, then `finish`."""

    def __init__(self, folder: Path, spec: EngineSpec) -> None:
        self._columns = Columns(spec)
        self._states = OrderStates(max((len(s.features) for s in spec.strategies), default=0))
        features = json.dumps({s.name: s.features for s in spec.strategies})
        self._orders = RowGroups(
            folder / "orders.parquet", ORDERS, self._columns.orders, {"features": features}
        )
        self._fills = RowGroups(folder / "fills.parquet", FILLS, self._columns.fills)
        self._equity = RowGroups(folder / "equity.parquet", EQUITIES, self._columns.equity)

    def add(self, out: Events) -> None:
        """Take in what a batch caused. Raises OSError where it cannot be written."""
        if len(out.events):
            self._orders.add(self._states.add(out))
            self._fills.add(out.events[out.events["kind"] == EventKind.FILL])
        self._equity.add(out.equity)

    def finish(self) -> int:
        """Write the orders that are still working, and what remains; how many orders those were."""
        working = self._states.working
        self._orders.add(working)
        for file in (self._orders, self._fills, self._equity):
            file.finish()
        return len(working)

    def close(self) -> None:
        """Let go of the files, complete or not."""
        for file in (self._orders, self._fills, self._equity):
            with contextlib.suppress(OSError):  # which `finish` or `add` has raised already
                file.close()


class OrderStates:
    """Follows orders from their first event, which has the observation, to their last, which has the outcome.

    Its records hold an EVENT, and the observation as `values` (width,) where `observed`.
    """

    def __init__(self, width: int) -> None:
        self.dtype = np.dtype([("event", EVENT), ("observed", "?"), ("values", "f8", (width,))])
        self.working = np.zeros(0, self.dtype)  # by id

    def add(self, out: Events) -> Array:
        """Take in what a batch caused; the orders that it ended, in the order of their ends."""
        events = out.events[out.events["kind"] != EventKind.STATE]
        fresh = np.zeros(len(events), self.dtype)
        fresh["event"] = events
        decided = np.flatnonzero(events["observation"] != NONE)
        if len(decided):
            fresh["observed"][decided] = True
            fresh["values"][decided] = out.observations[events["observation"][decided]]
        known = np.concatenate((self.working, fresh))
        ids = known["event"]["order_id"]
        _, first = np.unique(ids, return_index=True)
        last = len(ids) - 1 - np.unique(ids[::-1], return_index=True)[1]
        orders = known[last]
        orders["observed"] = known["observed"][first]
        orders["values"] = known["values"][first]
        ended = np.isin(orders["event"]["status"], ENDED)
        self.working = orders[~ended]
        return orders[ended][np.argsort(last[ended])]


class Columns:
    """How records become Arrow columns."""

    def __init__(self, spec: EngineSpec) -> None:
        self._accounts = [a.name for a in spec.accounts]
        self._strategies = [s.name for s in spec.strategies] + [f"operator:{a.name}" for a in spec.accounts]
        self._instruments = [i.name for i in spec.instruments]
        self._widths = np.array([len(s.features) for s in spec.strategies] + [0] * len(spec.accounts))
        self._money_per_lot = np.array([spec.scale(i.currency) * i.lot_size for i in spec.instruments])
        # a lot of 0.1 is divided by 10: 3 lots are 0.3 units, where 3 * 0.1 is a little more
        lot_size = np.array([i.lot_size for i in spec.instruments])
        inverse = np.rint(1.0 / np.minimum(lot_size, 1.0))
        exact = (lot_size < 1.0) & (1.0 / inverse == lot_size)
        self._multiplier = np.where(exact, 1.0, lot_size)
        self._divisor = np.where(exact, inverse, 1.0)

    def orders(self, orders: Array) -> dict[str, Any]:
        """Columns of ORDERS from records of OrderStates."""
        e = orders["event"]
        instrument, lots = e["instrument"], e["cum_lots"]
        traded = np.where(lots > 0, lots, 1) * self._money_per_lot[instrument]
        return {
            "id": e["order_id"],
            "account": _named(e["account"], self._accounts),
            "strategy": _named(e["strategy"], self._strategies),
            "instrument": _named(instrument, self._instruments),
            "side": _enum(e["side"], Side),
            "type": _enum(e["type"], OrderType),
            "time_in_force": _enum(e["tif"], TimeInForce),
            "quantity": self._units(e["lots"], instrument),
            "limit": pa.array(e["limit"], mask=e["type"] != OrderType.LIMIT),
            "stop": pa.array(e["stop"], mask=e["type"] != OrderType.STOP),
            "status": _enum(e["status"], Status),
            "cum_qty": self._units(lots, instrument),
            "avg_px": pa.array(e["notional"] / traded, mask=lots == 0),
            "fees_micros": e["fees"],
            "code": _enum(e["code"], Code, e["code"] == Code.NONE),
            "submitted": _times(e["submitted"]),
            "updated": _times(e["ts"]),
            "seq": e["order_seq"],
            "observation": self._observations(orders),
            "tag": e["tag"],
        }

    def fills(self, e: Array) -> dict[str, Any]:
        """Columns of FILLS from records of EVENT."""
        return {
            "ts": _times(e["ts"]),
            "order_id": e["order_id"],
            "account": _named(e["account"], self._accounts),
            "strategy": _named(e["strategy"], self._strategies),
            "instrument": _named(e["instrument"], self._instruments),
            "side": _enum(e["side"], Side),
            "last_qty": self._units(e["last_lots"], e["instrument"]),
            "last_px": e["last_px"],
            "notional_micros": e["last_notional"],
            "fee_micros": e["last_fee"],
            "realized_micros": e["realized"],
            "position": self._units(e["position"], e["instrument"]),
            "cash_micros": e["cash"],
            "maker": e["maker"] != 0,
            "seq": e["seq"],
        }

    def equity(self, samples: Array) -> dict[str, Any]:
        """Columns of EQUITIES from records of EQUITY."""
        return {
            "ts": _times(samples["ts"]),
            "account": _named(samples["account"], self._accounts),
            "cash_micros": samples["cash"],
            "equity_micros": samples["equity"],
        }

    def _units(self, lots: Array, instrument: Array) -> Array:
        return lots * self._multiplier[instrument] / self._divisor[instrument]

    def _observations(self, orders: Array) -> Any:
        observed = orders["observed"]
        widths = np.where(observed, self._widths[orders["event"]["strategy"]], 0)
        own = np.arange(orders["values"].shape[1]) < widths[:, None]
        offsets = np.append(0, np.cumsum(widths)).astype(np.int32)
        return pa.ListArray.from_arrays(
            pa.array(offsets), pa.array(orders["values"][own]), mask=pa.array(~observed)
        )


class RowGroups:
    """A Parquet file that grows by whole row groups. to_columns: records -> name -> column."""

    def __init__(
        self,
        path: Path,
        fields: dict[str, Any],
        to_columns: Callable[[Array], dict[str, Any]],
        metadata: dict[str, str] | None = None,
    ) -> None:
        self._schema = pa.schema(list(fields.items()), metadata=metadata)
        self._to_columns = to_columns
        self._waiting: list[Array] = []
        self._rows = 0
        names = [name for name, type_ in fields.items() if type_ == NAME]
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd", use_dictionary=names)

    def add(self, records: Array) -> None:
        """Append records; whole row groups are written."""
        if len(records) == 0:
            return
        self._waiting.append(records)
        self._rows += len(records)
        if self._rows < ROW_GROUP:
            return
        joined = np.concatenate(self._waiting)
        whole = len(joined) // ROW_GROUP * ROW_GROUP
        for first in range(0, whole, ROW_GROUP):
            self._write(joined[first : first + ROW_GROUP])
        self._waiting = [joined[whole:].copy()]
        self._rows = len(joined) - whole

    def finish(self) -> None:
        """Write the rest."""
        if self._rows:
            self._write(np.concatenate(self._waiting))
        self._writer.close()

    def close(self) -> None:
        """Let go of the file; what has not been written is lost. A second time it does nothing."""
        self._writer.close()

    def _write(self, records: Array) -> None:
        columns = self._to_columns(records)
        arrays = [
            pa.array(np.ascontiguousarray(c)) if isinstance(c, np.ndarray) else c
            for c in (columns[name] for name in self._schema.names)
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema), ROW_GROUP)


class ResultHash:
    """A hash of all events, observations and equity samples, in order, and of the engine's final state.

    Equal for equal runs in any process, however the tape was cut: the streams enter separately, for their order among
    one another depends on the batches.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self._events, self._observed, self._equity = (hashlib.blake2b(digest_size=16) for _ in range(3))
        self._widths = np.array([len(s.features) for s in spec.strategies] + [0] * len(spec.accounts))

    def add(self, out: Events) -> None:
        """Take in what a batch caused."""
        if len(out.events):
            self._events.update(_packed(out.events, _HASHED_EVENT))
            decided = out.events[out.events["observation"] != NONE]
            values = out.observations[decided["observation"]].astype("<f8")
            # beyond a strategy's own features lies what others left there
            values[np.arange(values.shape[1]) >= self._widths[decided["strategy"]][:, None]] = 0.0
            values[np.isnan(values)] = np.nan  # of the many NaNs, one
            self._observed.update(values.tobytes())
        if len(out.equity):
            self._equity.update(_packed(out.equity, _HASHED_EQUITY))

    def hexdigest(self, state_hash: str) -> str:
        """The hash, with that of the final state; 32 hexadecimal digits."""
        whole = hashlib.blake2b(digest_size=16)
        for part in (self._events, self._observed, self._equity):
            whole.update(part.digest())
        whole.update(bytes.fromhex(state_hash))
        return whole.hexdigest()


def _hashed(dtype: np.dtype[Any], without: tuple[str, ...] = ()) -> np.dtype[Any]:
    # without padding, whose bytes mean nothing; little-endian
    names = [n for n in dtype.names or () if n not in without and not n.startswith("_pad")]
    return np.dtype([(name, dtype[name].newbyteorder("<")) for name in names])


_HASHED_EVENT = _hashed(EVENT, ("observation",))  # where an observation lies depends on the batch
_HASHED_EQUITY = _hashed(EQUITY)


def _packed(records: Array, dtype: np.dtype[Any]) -> bytes:
    packed = np.empty(len(records), dtype)
    for name in dtype.names or ():
        packed[name] = records[name]
    return packed.tobytes()


def _times(ns: Array) -> Any:
    return pa.array(np.ascontiguousarray(ns).view("M8[ns]"), type=TIME)


def _named(index: Array, names: list[str], mask: Array | None = None) -> Any:
    indices = pa.array(np.ascontiguousarray(index, np.int32), mask=mask)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))


def _enum(values: Array, enum: type[IntEnum], mask: Array | None = None) -> Any:
    place = np.zeros(256, np.int32)  # by value as an unsigned byte: a side is -1 or 1
    for i, member in enumerate(enum):
        place[member & 255] = i
    return _named(place[values.astype(np.uint8)], [member.name for member in enum], mask)
