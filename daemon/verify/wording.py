"""Rows of the database in words: amounts in currency, quantities in units, times in UTC, numbers as the names they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

import numpy as np

from daemon.store.schema import LedgerAccount
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
from strategies.errors import iso_utc

Row = Mapping[str, Any]

_ENUMS: dict[str, type[IntEnum]] = {
    "side": Side,
    "type": OrderType,
    "tif": TimeInForce,
    "status": Status,
    "code": Code,
    "verdict": Code,
    "debit": LedgerAccount,
    "credit": LedgerAccount,
    "method": Method,
    "kind": EventKind,
    "trail_kind": Trail,
}
_MONEY = {
    "fills": {"notional", "fee", "realized", "cash"},
    "postings": {"amount"},
    "equity": {"cash", "equity"},
    "grades": {"equity", "at_risk", "shortfall", "pnl"},
    "orders": {"notional", "fees"},
    "positions": {"cost", "realized", "fees", "income"},
}
_LOTS = {
    "fills": {"lots", "position", "cum_lots"},
    "orders": {"lots", "cum_lots"},
    "positions": {"lots"},
}
_TIMES = {"ts", "until", "submitted", "updated", "expires"}


class Words:
    """Of one session; made of the rows of its `accounts`, `strategies` and `instruments`."""

    def __init__(
        self, accounts: Iterable[Row], strategies: Iterable[Row], instruments: Iterable[Row]
    ) -> None:
        self._accounts = {row["account"]: row for row in accounts}
        self._strategies = {row["strategy"]: row for row in strategies}
        self._instruments = {row["instrument"]: row for row in instruments}

    def named(self, column: str, index: int) -> str:
        """The name of an account, a strategy or an instrument; "–" for none."""
        found = {"account": self._accounts, "strategy": self._strategies, "instrument": self._instruments}
        row = found[column].get(index)
        return str(row["name"]) if row else "–" if index == NONE else f"unknown ({index})"

    def money(self, units: float, account: int) -> str:
        """An amount of an account, with its currency."""
        row = self._accounts.get(account)
        if row is None:
            return f"{units:,} units"
        digits = len(str(row["scale"])) - 1
        return f"{units / row['scale']:,.{digits}f} {row['currency']}"

    def value(self, table: str, column: str, row: Row) -> str:
        """What a column of a row says."""
        value = row[column]
        if value is None:
            return "none"
        if column in ("account", "strategy", "instrument"):
            return self.named(column, value)
        if column in _TIMES:
            return "never" if value == NEVER else iso_utc(int(value))
        if column in _MONEY.get(table, ()):
            return self.money(value, self._account(row))
        if column in _LOTS.get(table, ()):
            size = self._instruments.get(row["instrument"], {"lot_size": 1.0})["lot_size"]
            return f"{value * size:.12g}"
        if column == "became":
            of: type[IntEnum] = TradingState if row["kind"] == EventKind.STATE else Level
            return _member(of, value)
        if column in _ENUMS:
            return _member(_ENUMS[column], value)
        if column == "observation":
            return ", ".join(f"{x!r}" for x in np.frombuffer(value, "<f8").tolist())
        return repr(value) if isinstance(value, float) else str(value)

    def where(self, table: str, row: Row) -> str:
        """Which row it is: of whom, and when."""
        owner = row.get("strategy", NONE)
        parts = [
            self.named("strategy", owner) if owner != NONE else self.named("account", self._account(row))
        ]
        if row.get("instrument", NONE) != NONE:
            parts.append(self.named("instrument", row["instrument"]))
        if order := row.get("id") or row.get("order_id"):
            parts.append(f"order {order}")
        if table == "postings":
            debit, credit = (self.value(table, name, row) for name in ("debit", "credit"))
            parts.append(f"{self.money(row['amount'], row['account'])} from {credit} to {debit}")
        elif table == "fills":
            side = "bought" if row["side"] == Side.BUY else "sold"
            parts.append(f"{side} {self.value(table, 'lots', row)} at {row['price']!r}")
        elif table in ("risk", "grades"):
            parts.append(self.value(table, "code" if table == "risk" else "method", row))
        if row.get("seq") is not None:
            parts.append(f"input {row['seq']}")
        when = row.get("ts", row.get("submitted"))
        return ", ".join(parts) + (f", {iso_utc(int(when))}" if when is not None else "")

    def _account(self, row: Row) -> int:
        if "account" in row:
            return int(row["account"])
        strategy = self._strategies.get(row.get("strategy", NONE))
        return int(strategy["account"]) if strategy else NONE


def _member(enum: type[IntEnum], value: int) -> str:
    known = {int(member): member.name for member in enum}
    return known.get(int(value), f"unknown ({value})")
