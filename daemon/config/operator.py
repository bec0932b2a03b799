"""What an operator does on the way: to an account, or to one of its strategies, each with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from daemon.config.base import Model
from daemon.config.types import Name, Time, ns_of

if TYPE_CHECKING:
    from daemon.config.models import BacktestConfig
    from engine.records import Ticks


_MOST = 200  # characters of a reason


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; say why, for who reads the results later")
    if len(text) > _MOST:
        raise ValueError(f"has {len(text)} characters; say it in {_MOST} at most")
    return text


class Operation(Model):
    """Something that an operator does."""

    at: Time = Field(description="When (UTC).")
    do: Literal["reset", "reduce_only", "halt", "flatten"] = Field(
        description="reset: trade again, with drawdown and daily loss counted afresh; reduce_only: exits pass only; halt: "
        "what works is cancelled, too; flatten: positions are closed, too."
    )
    reason: Annotated[str, AfterValidator(_said)] = Field(description="Why; it stands in the results.")
    strategy: Name | None = Field(
        default=None, description="The strategy of the account that it is done to; null: all of the account."
    )


def reasons(config: BacktestConfig) -> tuple[str, ...]:
    """Why operators do what they do, each reason once; rows on the tape have its index."""
    return tuple(dict.fromkeys(o.reason for account in config.accounts for o in account.operator))


def operations(config: BacktestConfig) -> Ticks | None:
    """What operators do as rows of the tape, in time order; None where they do nothing.

    A row's instrument is the index of the account, or of the strategy behind those of all accounts, as the engine counts
    portfolios; price: the action; size: the index of the reason. At equal times the order is that of the configuration.
    """
    why = {reason: k for k, reason in enumerate(reasons(config))}
    names = [(a.name, s.name) for a in config.accounts for s in a.strategies]
    found = []
    for k, account in enumerate(config.accounts):
        for o in account.operator:
            portfolio = (
                k if o.strategy is None else len(config.accounts) + names.index((account.name, o.strategy))
            )
            found.append((ns_of(o.at), portfolio, o.do, why[o.reason]))
    if not found:
        return None
    import numpy as np

    from engine.records import OperatorAction, RowKind, Ticks

    found.sort(key=lambda row: row[0])  # stable
    times, portfolios, done, reason = zip(*found, strict=True)
    ts = np.array(times, np.int64)
    return Ticks(
        ts,
        ts,
        np.array(portfolios, np.int32),
        np.array([OperatorAction[do.upper()] for do in done], np.float64),
        np.array(reason, np.float64),
        np.full(len(ts), RowKind.OPERATOR, np.uint8),
    )
