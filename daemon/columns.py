"""The columns of the result files, and how the engine's records become them.

Amounts of money are in the smallest unit of the account's currency (a millionth, unless the configuration says
otherwise), quantities in units of the instrument, times in UTC. A value that a row does not have (the limit of a market
order, the average price of one that never filled) is null.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from engine.records import (
    NEVER,
    NONE,
    Code,
    EventKind,
    Level,
    Method,
    OrderType,
    Side,
    Status,
    TimeInForce,
    TradingState,
    Trail,
)

if TYPE_CHECKING:
    from engine.spec import EngineSpec

Array = np.ndarray[Any, Any]

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
    "stop": pa.float64(),  # of a trailing stop, where it last stood
    "trail": pa.float64(),  # the distance of a trailing stop, in currency
    "trail_percent": pa.float64(),  # or as a share of the price
    "expires": TIME,
    "post_only": pa.bool_(),
    "reduce_only": pa.bool_(),
    "parent_id": pa.int64(),  # the order whose fills released it
    "status": NAME,
    "cum_qty": pa.float64(),
    "avg_px": pa.float64(),
    "fees_micros": pa.int64(),
    "code": NAME,  # why it was denied or cut, or ended otherwise than its owner wished
    "measure": pa.float64(),  # where a limit on risk denied or cut it: what it would have come to, a share of equity,
    "bound": pa.float64(),  # and what it was held against
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
CASH = {
    "ts": TIME,
    "account": NAME,
    "strategy": NAME,  # whose position was paid for, or null
    "instrument": NAME,
    "code": NAME,  # why it moved
    "amount_micros": pa.int64(),  # received, or, negative, paid
    "realized_micros": pa.int64(),  # profit that it realised: where a split or delisting closed a position, or a part
    "cash_micros": pa.int64(),  # of the account, after it
    "refused": pa.bool_(),  # a withdrawal of more than was free: nothing moved
    "seq": pa.int64(),
}
ACTIONS = {
    "ts": TIME,
    "instrument": NAME,
    "code": NAME,
    "numerator": pa.float64(),  # of a split: so many new units for `denominator` old ones
    "denominator": pa.float64(),
    "amount": pa.float64(),  # what a unit paid, in currency: a dividend, or the end of a delisted instrument
    "symbol": pa.string(),  # what it is called from here on
    "seq": pa.int64(),
}
RISKS = {
    "ts": TIME,
    "account": NAME,
    "strategy": NAME,  # whose own limit or trading state it is, or null: the account's
    "code": NAME,  # the limit; MODEL: the forecasts; of a trading state, why it was switched
    "became": NAME,  # WITHIN, WARNING or BEYOND a limit; ACCEPTED or REJECTED; ACTIVE, REDUCE_ONLY or HALTED
    "measure": pa.float64(),  # what was measured, as a share of equity; MODEL: the share of losses beyond VaR;
    "bound": pa.float64(),  # against this
    "reason": NAME,  # the operator's
    "seq": pa.int64(),
}
GRADES = {
    "ts": TIME,  # when the forecast was made,
    "until": TIME,  # and when its outcome was known
    "account": NAME,
    "method": NAME,
    "equity_micros": pa.int64(),  # of the account at `ts`
    "var_micros": pa.float64(),  # a forecast is no money that moved: it has fractions
    "cvar_micros": pa.float64(),
    "pnl_micros": pa.float64(),  # of the portfolio as it was held at `ts`
}

LEVELS = tuple(level.name for level in Level)
VERDICTS = ("ACCEPTED", "REJECTED")
STATES = tuple(state.name for state in TradingState)


class Columns:
    """How records become Arrow columns."""

    def __init__(self, spec: EngineSpec) -> None:
        self._accounts = [a.name for a in spec.accounts]
        self._strategies = [s.name for s in spec.strategies] + [f"operator:{a.name}" for a in spec.accounts]
        self._instruments = [i.name for i in spec.instruments]
        self._reasons = list(spec.reasons)
        self._symbols = pa.array([name for i in spec.instruments for name in i.symbols], pa.string())
        self._first_symbol = np.cumsum([0] + [len(i.symbols) for i in spec.instruments])
        self._widths = np.array([len(s.observation) for s in spec.strategies] + [0] * len(spec.accounts))
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
        instrument, lots, type_ = e["instrument"], e["cum_lots"], e["type"]
        trailing = type_ == OrderType.TRAILING_STOP
        percent = e["trail_kind"] == Trail.PERCENT
        traded = np.where(lots > 0, lots, 1) * self._money_per_lot[instrument]
        return {
            "id": e["order_id"],
            "account": _named(e["account"], self._accounts),
            "strategy": _named(e["strategy"], self._strategies),
            "instrument": _named(instrument, self._instruments),
            "side": _enum(e["side"], Side),
            "type": _enum(type_, OrderType),
            "time_in_force": _enum(e["tif"], TimeInForce),
            "quantity": self._units(e["lots"], instrument),
            "limit": pa.array(e["limit"], mask=~np.isin(type_, (OrderType.LIMIT, OrderType.STOP_LIMIT))),
            "stop": pa.array(e["stop"], mask=e["stop"] == 0.0),  # a trailing one may have seen no price
            "trail": pa.array(e["trail"], mask=~trailing | percent),
            "trail_percent": pa.array(e["trail"], mask=~trailing | ~percent),
            "expires": _times(e["expires"], e["expires"] == NEVER),
            "post_only": e["post_only"] != 0,
            "reduce_only": e["reduce_only"] != 0,
            "parent_id": pa.array(e["parent"], mask=e["parent"] == 0),
            "status": _enum(e["status"], Status),
            "cum_qty": self._units(lots, instrument),
            "avg_px": pa.array(e["notional"] / traded, mask=lots == 0),
            "fees_micros": e["fees"],
            "code": _enum(e["code"], Code, e["code"] == Code.NONE),
            **_measured(e),
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

    def cash(self, e: Array) -> dict[str, Any]:
        """Columns of CASH from records of EVENT."""
        return {
            "ts": _times(e["ts"]),
            "account": _named(e["account"], self._accounts),
            "strategy": _named(e["strategy"], self._strategies, e["strategy"] == NONE),
            "instrument": _named(e["instrument"], self._instruments, e["instrument"] == NONE),
            "code": _enum(e["code"], Code),
            "amount_micros": e["last_notional"],
            "realized_micros": e["realized"],
            "cash_micros": e["cash"],
            "refused": e["status"] == Status.DENIED,
            "seq": e["seq"],
        }

    def actions(self, e: Array) -> dict[str, Any]:
        """Columns of ACTIONS from records of EVENT."""
        code, given = e["code"], e["last_px"]
        first, end = self._first_symbol[e["instrument"]], self._first_symbol[e["instrument"] + 1]
        named = (code == Code.SYMBOL) & (given < end - first)
        places = first + np.where(named, given, 0.0).astype(np.int64)
        return {
            "ts": _times(e["ts"]),
            "instrument": _named(e["instrument"], self._instruments),
            "code": _enum(code, Code),
            "numerator": pa.array(given, mask=code != Code.SPLIT),
            "denominator": pa.array(e["stop"], mask=code != Code.SPLIT),
            "amount": pa.array(given, mask=~np.isin(code, (Code.DIVIDEND, Code.DELISTED))),
            "symbol": self._symbols.take(pa.array(places, mask=~named)),
            "seq": e["seq"],
        }

    def risks(self, e: Array) -> dict[str, Any]:
        """Columns of RISKS from records of EVENT."""
        state, model = e["kind"] == EventKind.STATE, e["code"] == Code.MODEL
        first = np.where(state, len(LEVELS) + len(VERDICTS), np.where(model, len(LEVELS), 0))
        given = (e["code"] == Code.OPERATOR) & (e["tag"] >= 0) & (e["tag"] < len(self._reasons))
        return {
            "ts": _times(e["ts"]),
            "account": _named(e["account"], self._accounts),
            "strategy": _named(e["strategy"], self._strategies, e["strategy"] == NONE),
            "code": _enum(e["code"], Code),
            "became": _named(first + e["lots"], [*LEVELS, *VERDICTS, *STATES]),
            **_measured(e),
            "reason": _named(np.where(given, e["tag"], 0), self._reasons, ~given),
            "seq": e["seq"],
        }

    def grades(self, g: Array) -> dict[str, Any]:
        """Columns of GRADES from records of GRADE."""
        return {
            "ts": _times(g["ts"]),
            "until": _times(g["until"]),
            "account": _named(g["account"], self._accounts),
            "method": _enum(g["method"], Method),
            "equity_micros": g["equity"],
            "var_micros": g["at_risk"],
            "cvar_micros": g["shortfall"],
            "pnl_micros": g["pnl"],
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


def _times(ns: Array, mask: Array | None = None) -> Any:
    return pa.array(np.ascontiguousarray(ns).view("M8[ns]"), type=TIME, mask=mask)


def _measured(e: Array) -> dict[str, Any]:
    # a bound of 0 is none, and what could not be measured is no number; + 0.0: nothing is not less than nothing
    none = e["bound"] == 0.0
    return {
        "measure": pa.array(e["measure"] + 0.0, mask=none | np.isnan(e["measure"])),
        "bound": pa.array(e["bound"], mask=none),
    }


def _named(index: Array, names: list[str], mask: Array | None = None) -> Any:
    indices = pa.array(np.ascontiguousarray(index, np.int32), mask=mask)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))


def _enum(values: Array, enum: type[IntEnum], mask: Array | None = None) -> Any:
    place = np.zeros(256, np.int32)  # by value as an unsigned byte: a side is -1 or 1
    for i, member in enumerate(enum):
        place[member & 255] = i
    return _named(place[values.astype(np.uint8)], [member.name for member in enum], mask)
