"""Statements that both databases know, written once for each of them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import case
from sqlalchemy.dialects import postgresql, sqlite

from daemon.store.schema import orders
from engine.records import Status

if TYPE_CHECKING:
    from sqlalchemy import Table

_INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
# of an order that is there already; all else is what caused it, and stays
_CHANGES = (
    "lots", "limit", "stop", "trail", "expires", "status", "code", "cum_lots", "notional", "fees", "updated",
)  # fmt: skip


@cache
def upsert(dialect: str, table: Table) -> Any:
    """Insert rows; where one of the same key is there, it takes the new values."""
    statement = _INSERT[dialect](table)
    keys = [column.name for column in table.primary_key]
    values = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in keys}
    if not values:
        return statement.on_conflict_do_nothing(index_elements=keys)
    return statement.on_conflict_do_update(index_elements=keys, set_=values)


@cache
def insert_new(dialect: str, table: Table) -> Any:
    """Insert rows; one whose key is there already stays as it is."""
    keys = [column.name for column in table.primary_key]
    return _INSERT[dialect](table).on_conflict_do_nothing(index_elements=keys)


@cache
def upsert_orders(dialect: str) -> Any:
    """Insert orders, or bring those that are there up to date: what caused them stays."""
    statement = _INSERT[dialect](orders)
    values = {name: statement.excluded[name] for name in _CHANGES}
    ended = statement.excluded.status > Status.PENDING_CANCEL
    values["code"] = case((ended, statement.excluded.code), else_=orders.c.verdict)
    return statement.on_conflict_do_update(index_elements=["session", "id"], set_=values)
