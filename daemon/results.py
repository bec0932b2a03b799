"""What a run leaves: seven Parquet files, written while it runs, and the hash by which runs are compared.

Rows are written in groups of a fixed size: memory does not grow with the tape, and the files do not depend on how it
was cut into batches. Their columns are in daemon/columns.py.

orders.parquet   one row an order, as it ended, in the order of their ends; then those still working, by id
fills.parquet    one row a fill
equity.parquet   one row an account whenever a bar closes in which one of its strategies trades
cash.parquet     one row for all cash that moved otherwise than by a fill: deposits, interest, dividends
actions.parquet  one row a corporate action
risk.parquet     one row whenever a limit on risk is reached or left, a model rejected or accepted, a trading state switched
grades.parquet   one row a forecast of what an account may lose, with its outcome
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from daemon.columns import (
    ACTIONS,
    CASH,
    EQUITIES,
    FILLS,
    GRADES,
    NAME,
    ORDERS,
    RISKS,
    Array,
    Columns,
)
from engine.records import EQUITY, EVENT, NONE, EventKind, Status
from engine.records_risk import GRADE

if TYPE_CHECKING:
    from engine.engine import Events
    from engine.spec import EngineSpec

ROW_GROUP = 65_536
ENDED = (Status.FILLED, Status.CANCELED, Status.EXPIRED, Status.REJECTED, Status.DENIED)


class ResultFiles:
    """The seven files of one run, in `folder`. `add` what each batch caused, then `finish`."""

    def __init__(self, folder: Path, spec: EngineSpec) -> None:
        columns = Columns(spec)
        self._states = OrderStates(max((len(s.observation) for s in spec.strategies), default=0))
        features = json.dumps({s.name: s.observation for s in spec.strategies})
        self._orders = RowGroups(folder / "orders.parquet", ORDERS, columns.orders, {"features": features})
        self._equity = RowGroups(folder / "equity.parquet", EQUITIES, columns.equity)
        self._grades = RowGroups(folder / "grades.parquet", GRADES, columns.grades)
        self._by_kind = {
            (EventKind.FILL,): RowGroups(folder / "fills.parquet", FILLS, columns.fills),
            (EventKind.CASH,): RowGroups(folder / "cash.parquet", CASH, columns.cash),
            (EventKind.ACTION,): RowGroups(folder / "actions.parquet", ACTIONS, columns.actions),
            (EventKind.RISK, EventKind.STATE): RowGroups(folder / "risk.parquet", RISKS, columns.risks),
        }
        self._files = (self._orders, self._equity, self._grades, *self._by_kind.values())

    def add(self, out: Events) -> None:
        """Take in what a batch caused. Raises OSError where it cannot be written."""
        if len(out.events):
            self._orders.add(self._states.add(out))
            for kinds, file in self._by_kind.items():
                file.add(out.events[np.isin(out.events["kind"], kinds)])
        self._equity.add(out.equity)
        self._grades.add(out.grades)

    def finish(self) -> int:
        """Write the orders that are still working, and what remains; how many orders those were."""
        working = self._states.working
        self._orders.add(working)
        for file in self._files:
            file.finish()
        return len(working)

    def close(self) -> None:
        """Let go of the files, complete or not."""
        for file in self._files:
            with contextlib.suppress(OSError):  # which `finish` or `add` has raised already
                file.close()


class OrderStates:
    """Follows orders from their first event, which has the observation, to their last, which has the outcome.

    While an order works, its code is that of its first event, and so is what the gate measured: new terms that the gate
    refused are told with a code, too, which is not the order's own. Its records hold an EVENT, and the observation as `values` (width,) where `observed`.
    """

    def __init__(self, width: int) -> None:
        self.dtype = np.dtype([("event", EVENT), ("observed", "?"), ("values", "f8", (width,))])
        self.working = np.zeros(0, self.dtype)  # by id

    def add(self, out: Events) -> Array:
        """Take in what a batch caused; the orders that it ended, in the order of their ends."""
        events = out.events[np.isin(out.events["kind"], (EventKind.ORDER, EventKind.FILL))]
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
        for name in ("code", "measure", "bound"):
            orders["event"][name][~ended] = known["event"][name][first][~ended]
        self.working = orders[~ended]
        return orders[ended][np.argsort(last[ended])]


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
    """A hash of all events, observations, equity samples and grades, in order, and of the engine's final state.

    Equal for equal runs in any process, however the tape was cut: the streams enter separately, for their order among
    one another depends on the batches.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self._events, self._observed, self._equity, self._grades = (
            hashlib.blake2b(digest_size=16) for _ in range(4)
        )
        self._widths = np.array([len(s.observation) for s in spec.strategies] + [0] * len(spec.accounts))

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
        if len(out.grades):
            self._grades.update(_packed(out.grades, _HASHED_GRADE))

    def hexdigest(self, state_hash: str) -> str:
        """The hash, with that of the final state; 32 hexadecimal digits."""
        whole = hashlib.blake2b(digest_size=16)
        for part in (self._events, self._observed, self._equity, self._grades):
            whole.update(part.digest())
        whole.update(bytes.fromhex(state_hash))
        return whole.hexdigest()


def _hashed(dtype: np.dtype[Any], without: tuple[str, ...] = ()) -> np.dtype[Any]:
    # without padding, whose bytes mean nothing; little-endian
    names = [n for n in dtype.names or () if n not in without and not n.startswith("_pad")]
    return np.dtype([(name, dtype[name].newbyteorder("<")) for name in names])


_HASHED_EVENT = _hashed(EVENT, ("observation",))  # where an observation lies depends on the batch
_HASHED_EQUITY = _hashed(EQUITY)
_HASHED_GRADE = _hashed(GRADE)


def _packed(records: Array, dtype: np.dtype[Any]) -> bytes:
    packed = np.empty(len(records), dtype)
    for name in dtype.names or ():
        packed[name] = records[name]
    return packed.tobytes()
