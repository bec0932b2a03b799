"""Codes, states and numbers as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from engine.records import SECOND, Code, Level, TradingState

# why an order was refused: "denied, because ..."
WHY = {
    Code.TRADING_STATE: "trading is halted, or positions may only shrink",
    Code.INSTRUMENT: "its quantity, price or terms are not those that the instrument allows",
    Code.PRICE_MISSING: "there is no price yet",
    Code.PRICE_STALE: "the last price is too old",
    Code.PRICE_COLLAR: "its price is too far from the last one",
    Code.ORDER_RATE: "there were too many orders in a short time",
    Code.ORDER_NOTIONAL: "it is worth more than one order may be",
    Code.CASH: "it costs more than the cash that is free",
    Code.SHORT: "there is not so much to sell",
    Code.MARGIN: "the margin does not suffice",
    Code.POSITION: "the position could grow too large",
    Code.GROSS_EXPOSURE: "the gross exposure could grow too large",
    Code.NET_EXPOSURE: "the net exposure could grow too large",
    Code.CONCENTRATION: "one instrument could be too much of the equity",
    Code.VAR: "the loss at risk (VaR) could grow too large",
    Code.CVAR: "the expected shortfall (CVaR) could grow too large",
    Code.STRESSED_VAR: "the loss under stress could grow too large",
    Code.OVERFLOW: "the amount is beyond what can be counted exactly",
    Code.DELISTED: "the instrument trades no more",
    Code.REDUCE_ONLY: "there is no position that it could reduce",
    Code.GROUP: "another order of its pair or bracket does not allow it",
    Code.DRAWDOWN: "too much was lost since the highest equity",
    Code.DAILY_LOSS: "too much was lost today",
    Code.HISTORY: "there are too few returns to say what could be lost",
    Code.NOT_FINITE: "what could be lost is no number",
    Code.SINGULAR: "what could be lost cannot be computed: something that is held never moves",
    Code.BUFFER: "too many orders are working",
}
LIMITS = {
    Code.VAR: "VaR",
    Code.CVAR: "CVaR",
    Code.STRESSED_VAR: "stressed VaR",
    Code.DRAWDOWN: "drawdown",
    Code.DAILY_LOSS: "daily loss",
}
STATES = {
    TradingState.ACTIVE: "trades again",
    TradingState.REDUCE_ONLY: "may only reduce its positions",
    TradingState.HALTED: "is halted",
}
LEVELS = {
    Level.WITHIN: "is back within its limit",
    Level.WARNING: "has reached its warning level",
    Level.BEYOND: "is beyond its limit",
}


def why(code: Code) -> str:
    """The reason that a code gives, in words, with the code itself behind it."""
    told = WHY.get(code)
    return f"{told} ({code.name})" if told else code.name


def number(value: float) -> str:
    """A price or quantity without needless decimals, of at most ten significant digits."""
    return _plain(Decimal(f"{value:.10g}"))


def units(lots: int, lot_size: float) -> str:
    """A quantity of so many lots, exactly."""
    return _plain(lots * Decimal(repr(lot_size)))


def percent(share: float) -> str:
    """A share of equity: 0.0213 is 2.13 %."""
    return f"{_plain(Decimal(f'{100 * share:.4g}'))} %"


def time(ns: int) -> str:
    """A time in ns UTC to the second."""
    return datetime.fromtimestamp(ns // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def line(text: str, most: int = 300) -> str:
    """A text on one line, of at most so many characters."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def _plain(value: Decimal) -> str:
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
