"""Strategies: the base class that users write, and those that come with Papertape."""

from engine.records import Code, OrderType, RowKind, Side, Status, TimeInForce
from strategies.asynchronous import AsyncActor
from strategies.base import Strategy
from strategies.context import Context
from strategies.errors import ContextError, StrategyError, StrategyLoadError
from strategies.terms import OrderTerms
from strategies.types import Bar, CorporateAction, Fill, Order, Signal, Tick

__all__ = [
    "AsyncActor",
    "Bar",
    "Code",
    "Context",
    "ContextError",
    "CorporateAction",
    "Fill",
    "Order",
    "OrderTerms",
    "OrderType",
    "RowKind",
    "Side",
    "Signal",
    "Status",
    "Strategy",
    "StrategyError",
    "StrategyLoadError",
    "Tick",
    "TimeInForce",
]
