"""Records of the engine, in lots and money units, become what strategies are told, in units and currency."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.build import units_of
from engine.records import EVENT, NEVER, Code, OrderType, Side, Status, TimeInForce, Trail
from strategies.types import CorporateAction, Fill, Order

if TYPE_CHECKING:
    from engine.engine import Engine

_ORDER_FIELDS = (
    "side", "type", "tif", "status", "code", "lots", "cum_lots", "limit", "stop", "notional", "fees", "tag",
    "submitted", "trail", "trail_kind", "expires", "post_only", "reduce_only",
)  # fmt: skip
_LIMITS = (OrderType.LIMIT, OrderType.STOP_LIMIT)


def column(array: Any, field: str) -> memoryview:
    """A field of an array of records, for quick reading of single values; follows the array's changes."""
    return memoryview(array[field].view(np.ndarray))


def _getter(dtype: np.dtype[Any], *fields: str) -> Callable[[Any], tuple[Any, ...]]:
    names = dtype.names or ()
    return itemgetter(*(names.index(field) for field in fields))


def order_getter(dtype: np.dtype[Any], order_id: str, parent: str) -> Callable[[Any], tuple[Any, ...]]:
    """What takes the fields that `Units.order` wants from a record's tuple of values; two have other names in another."""
    return _getter(dtype, order_id, parent, *_ORDER_FIELDS)


event_fields = _getter(EVENT, "ts", "instrument")
event_order_fields = order_getter(EVENT, "order_id", "parent")
event_action_fields = _getter(EVENT, "code", "last_px", "stop")
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
        self._symbols = [i.symbols for i in spec.instruments]

    def _average(self, k: int, notional: int, lots: int) -> float:
        return notional / self._scale[k] / (lots * self.lot_size[k]) if lots else 0.0

    def order(self, ts: int, k: int, fields: tuple[Any, ...]) -> Order:
        """An order in instrument k from the fields that `order_getter` took."""
        (
            order_id, parent, side, type_, tif, status, code, lots, cum, limit, stop, notional, fees, tag, submitted,
            trail, trail_kind, expires, post_only, reduce_only,
        ) = fields  # fmt: skip
        trailing = type_ == OrderType.TRAILING_STOP
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
            limit=limit if type_ in _LIMITS else None,
            stop=stop or None,  # 0: it has none, or, trailing, has seen no price
            fees=fees / self._scale[k],
            tag=tag,
            submitted=submitted,
            trail=trail if trailing and trail_kind == Trail.AMOUNT else None,
            trail_percent=trail if trailing and trail_kind == Trail.PERCENT else None,
            expires=expires if expires != NEVER else None,
            post_only=bool(post_only),
            reduce_only=bool(reduce_only),
            parent_id=parent or None,
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

    def action(self, ts: int, k: int, fields: tuple[Any, ...], price: float) -> CorporateAction:
        """What happened to instrument k, from the fields that `event_action_fields` took; price: its own after it, or 0."""
        code, given, size = fields  # the row's price and size; engine.records.RowKind says what they mean
        name = self.names[k]
        if code == Code.SPLIT:
            return CorporateAction(ts, Code.SPLIT, name, given, size, factor=size / given)
        if code == Code.DIVIDEND:
            # the price has fallen by the dividend, unless there is none yet
            factor = price / (price + given) if price > 0.0 else 1.0
            return CorporateAction(ts, Code.DIVIDEND, name, amount=given, factor=factor)
        if code == Code.SYMBOL:
            return CorporateAction(ts, Code.SYMBOL, name, symbol=self._symbols[k][int(given)])
        return CorporateAction(ts, Code(code), name, amount=given)
