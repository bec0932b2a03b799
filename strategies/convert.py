"""Records of the engine, in lots and money units, become what strategies are told, in units and currency."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.build import units_of
from engine.records import EVENT, Code, OrderType, Side, Status, TimeInForce
from strategies.types import Fill, Order

if TYPE_CHECKING:
    from engine.engine import Engine

_ORDER_FIELDS = (
    "side", "type", "tif", "status", "code", "lots", "cum_lots", "limit", "stop", "notional", "fees", "tag",
    "submitted",
)  # fmt: skip


def column(array: Any, field: str) -> memoryview:
    """A field of an array of records, for quick reading of single values; follows the array's changes."""
    return memoryview(array[field].view(np.ndarray))


def _getter(dtype: np.dtype[Any], *fields: str) -> Callable[[Any], tuple[Any, ...]]:
    names = dtype.names or ()
    return itemgetter(*(names.index(field) for field in fields))


def order_getter(dtype: np.dtype[Any], order_id: str) -> Callable[[Any], tuple[Any, ...]]:
    """What takes the fields that `Units.order` wants from a record's tuple of values."""
    return _getter(dtype, order_id, *_ORDER_FIELDS)


event_fields = _getter(EVENT, "ts", "instrument")
event_order_fields = order_getter(EVENT, "order_id")
event_fill_fields = _getter(
    EVENT, "order_id", "side", "last_lots", "last_px", "last_fee", "realized", "position", "maker", "status", "lots",
    "cum_lots", "notional", "tag",
)  # fmt: skip


class Units:
    """The scales of an engine's instruments."""

    def __init__(self, engine: Engine) -> None:
        spec = engine.spec
        self.names = [i.name for i in spec.instruments]
        self.lot_size = [i.lot_size for i in spec.instruments]
        self._scale = [spec.scale(i.currency) for i in spec.instruments]

    def _average(self, k: int, notional: int, lots: int) -> float:
        return notional / self._scale[k] / (lots * self.lot_size[k]) if lots else 0.0

    def order(self, ts: int, k: int, fields: tuple[Any, ...]) -> Order:
        """An order in instrument k from the fields that `order_getter` took."""
        order_id, side, type_, tif, status, code, lots, cum, limit, stop, notional, fees, tag, submitted = (
            fields
        )
        unit = self.lot_size[k]
        ended = status > Status.PENDING_CANCEL
        return Order(
            ts_event=ts,
            order_id=order_id,
            instrument=self.names[k],
            side=Side(side),
            type=OrderType(type_),
            time_in_force=TimeInForce(tif),
            status=Status(status),
            code=Code(code),
            quantity=units_of(lots, unit),
            cum_qty=units_of(cum, unit),
            leaves_qty=0.0 if ended else units_of(lots - cum, unit),
            avg_px=self._average(k, notional, cum),
            limit=limit if type_ == OrderType.LIMIT else None,
            stop=stop if type_ == OrderType.STOP else None,
            fees=fees / self._scale[k],
            tag=tag,
            submitted=submitted,
        )

    def fill(self, ts: int, k: int, fields: tuple[Any, ...]) -> Fill:
        """A fill in instrument k from the fields that `event_fill_fields` took."""
        order_id, side, last, px, fee, realized, position, maker, status, lots, cum, notional, tag = fields
        unit = self.lot_size[k]
        return Fill(
            ts_event=ts,
            order_id=order_id,
            instrument=self.names[k],
            side=Side(side),
            last_qty=units_of(last, unit),
            last_px=px,
            fee=fee / self._scale[k],
            realized=realized / self._scale[k],
            position=units_of(position, unit),
            maker=bool(maker),
            status=Status(status),
            quantity=units_of(lots, unit),
            cum_qty=units_of(cum, unit),
            leaves_qty=units_of(lots - cum, unit),
            avg_px=self._average(k, notional, cum),
            tag=tag,
        )
