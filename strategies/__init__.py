"""Strategies: the base class that users write, and those that come with Papertape."""

from engine.records import Code, OrderType, RowKind, Side, Status, TimeInForce
from strategies.base import Strategy
from strategies.context import Context
from strategies.errors import ContextError, StrategyError, StrategyLoadError
from strategies.terms import OrderTerms
from strategies.types import Bar, CorporateAction, Fill, Order, Tick

__all__ = [
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
    "Status",
    "Strategy",
    "StrategyError",
    "StrategyLoadError",
    "Tick",
    "TimeInForce",
]
