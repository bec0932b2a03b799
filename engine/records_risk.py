"""The records of what portfolios may lose: the risk clock, what it knows, who is limited, and how forecasts come out.

Units as in ``engine/records.py``; money that no fill moved is float64 money units.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def record(**fields: str) -> np.dtype[Any]:
    """A packed record of the given fields; the longest come first, so that each is aligned."""
    ordered = sorted(fields.items(), key=lambda f: -np.dtype(f[1]).itemsize)
    pad = [(f"_pad{i}", "i1") for i in range(-np.dtype(ordered).itemsize % 8)]
    return np.dtype(ordered + pad)


RISK = record(  # one record, or none: how losses are forecast, and the risk clock
    period="i8",  # ns between two ends of the risk clock's periods,
    offset="i8",  # which lie at offset + k * period
    row_from="i8",  # when the scenario row began that is open
    rows="i8",  # rows closed so far
    window="i8",  # scenarios of the window
    width="i8",  # scenarios that limits are measured on: of the window, or draws
    draws="i8",
    stress="i8",  # scenarios of stress: rows of historical windows, and shocks
    n_windows="i8",
    n_shocks="i8",
    least="i8",  # rows that an instrument must have
    horizon="i8",  # periods
    method="i8",  # of the limits
    graded="i8",  # a sum of 1 << Method
    outcomes="i8",  # that a model is judged by
    tail="f8",  # 1 - the confidence
    z="f8",  # the standard normal's quantile at the confidence,
    es="f8",  # and its expected shortfall there
    decay="f8",
    prior="f8",  # volatility a period of what has too short a history; 0: nothing is measured then
    tighten="f8",  # the limits' factor while the model is rejected
    critical="f8",  # of the likelihood ratio at which it is
    raw="i8",  # where the matrices begin in `scenarios`: instrument by instrument, newest first
    filtered="i8",  # NONE where there is none
    drawn="i8",
    stressed="i8",
    sample="i8",  # of those, the one that limits are measured on
    singular="i8",  # 1: the last covariance had no factor
)

HISTORY = record(  # of an instrument: what the risk clock knows of it
    price="f8",  # at the end of the last row, by today's shares; 0: none yet
    paid="f8",  # dividends since then, and what a delisting paid
    rows="i8",  # returns known, at most a window of them
    moved="i8",  # of these, those that are not 0
    first_row="i8",  # the row of the clock that was its first return; NONE
    variance="f8",  # exponentially weighted: the forecast for the next period
    largest="f8",  # the largest absolute return of the matrix that limits are measured on,
    stress_largest="f8",  # and of stress
)

WINDOW = record(  # of a stressed VaR: rows that end in (start, end] are kept
    start="i8",
    end="i8",
    first="i8",  # where its scenarios begin among those of stress
    room="i8",
    rows="i8",  # kept so far
    first_row="i8",  # the row of the clock that was the first of them
)

PORTFOLIO = record(  # an account, or one strategy's part of it: accounts come first
    account="i8",
    strategy="i8",  # NONE: all of the account
    first_position="i8",
    n_positions="i8",
    pnl="i8",  # where its profits by scenario begin in `pnl`: of all, then block by block,
    stress_pnl="i8",  # and those by scenario of stress; NONE: not measured
    peak="i8",  # of its worth at every mark
    day="i8",
    worth="i8",  # as last taken,
    moves="i8",  # when its account's `moves` were these
    day_worth="i8",  # at the start of that day
    watched="i8",  # 1: each mark of what it holds is looked at
    statistical="i8",  # 1: VaR, CVaR or stressed VaR is limited; 2: at each mark, as one of them halts
    rejected="i8",  # 1: outcomes reject its account's model
    hits="i8",  # exceedances among the last outcomes
    outcomes="i8",  # so many are kept
    next="i8",  # place of the next outcome in its ring in `hits`
    frozen="i8",  # 1: a forecast waits for its outcome; its positions are in `frozen`
    since="i8",  # when it was made
    equity="i8",  # at that time
)

GAUGE = record(  # of a portfolio: what was last measured, in money units, and of what
    scenarios="i8",  # rows that all known positions share,
    longest="i8",  # and of the one that has the most
    unknown="i8",  # the code of why something that it holds is not known; NONE
    slack="f8",  # as it was held: how far it was from where its level changes,
    equity="i8",  # and the equity then
    prior="f8",  # for one unit of z: what positions with too short a history may lose
    at_risk="f8",  # VaR
    shortfall="f8",  # CVaR
    stressed="f8",
)

POSITION = record(  # an instrument of a portfolio, as money that it may be worth when what works has filled, or has not
    place="i8",  # in `holdings`, or of a strategy in `slots`
    instrument="i8",
    low="f8",
    high="f8",
    closes_long="i8",  # lots that reduce-only orders may sell beyond what else works,
    closes_short="i8",  # and buy
    held="f8",  # what it was worth when the portfolio was last measured as it is held
    at_risk="f8",  # its parts of the portfolio's last VaR and CVaR
    shortfall="f8",
)

LIMIT = record(  # shares of equity; 0: none
    bound="f8",
    warning="f8",
    action="i8",
    level="i8",  # a Level; NONE: to be taken anew, after a reset
)

TRIAL = record(
    bound="f8", reach="f8"
)  # of a limit, for the order under judgement: money units, in all and a lot

FORECAST = record(at_risk="f8", shortfall="f8", made="i8")  # VaR and CVaR, money units

GRADE = record(  # a forecast for an account as it was held at `ts`, and what that portfolio made until `until`, in money units
    ts="i8", until="i8", account="i8", method="i8", equity="i8", at_risk="f8", shortfall="f8", pnl="f8"
)
