"""Grades: everything that outcomes say of one method's forecasts for one account, with a verdict in words.

The verdict, at 5 %:
rejected        too many exceedances by Kupiec's test or that of conditional coverage, exceedances that cluster, or losses
                beyond VaR that are too large by Acerbi and Szekely's
too cautious    none of these, but too few exceedances by Kupiec's test
too few         none of these, and there are not so many outcomes that no exceedance at all would mean anything (192 at
                99 %): nothing speaks against the model, nor for it
accepted        none of these
Any of four tests may reject, so a right model is rejected in more than 5 % of histories: in 7 % where returns are normal,
in 8 % where they are Student's t of 5 degrees (250 to 1,000 outcomes at 99 %).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from daemon.risk import backtests
from daemon.risk.backtests import LikelihoodRatio, TrafficLight
from daemon.risk.losses import fissler_ziegel, tick_loss
from daemon.risk.series import Array, checked, checked_tail
from daemon.risk.shortfall import Shortfall, acerbi_szekely
from engine.records import Method

SIGNIFICANCE = 0.05
ROUNDING = 1e-12  # a share of equity that is no money: a CVaR below it is that of a perfect hedge, computed
_CRITICAL = NormalDist().inv_cdf(1.0 - SIGNIFICANCE / 2.0) ** 2  # of chi-squared with one degree of freedom

TESTS = {  # by their field: the name in a sentence
    "kupiec": "Kupiec's test",
    "independence": "the test of independence",
    "conditional_coverage": "the test of conditional coverage",
    "shortfall": "Acerbi and Szekely's test",
}
Standing = Literal["accepted", "rejected", "too cautious", "too few"]


@dataclass(frozen=True)
class Grade:
    """What n outcomes say of the forecasts. A test or a loss that is not defined is None."""

    tail: float  # 1 - confidence
    n: int
    exceedances: int
    expected: float
    kupiec: LikelihoodRatio | None
    independence: LikelihoodRatio | None
    conditional_coverage: LikelihoodRatio | None
    traffic_light: TrafficLight | None
    shortfall: Shortfall | None
    tick_loss: float | None  # mean, in the unit of the outcomes: shares of equity
    fissler_ziegel: float | None  # mean, of the same
    without_tail: int  # forecasts of no loss even as CVaR; shortfall and fissler_ziegel leave them out
    skipped: int  # forecasts that are not among the n, because equity was 0 or below

    @property
    def least(self) -> int:
        """The number of outcomes from which no exceedance at all is too few: 192 at 99 %."""
        return math.floor(_CRITICAL / (-2.0 * math.log1p(-self.tail))) + 1

    @property
    def rejected_by(self) -> list[str]:
        """The tests that find too much loss, or too much of it at once, at 5 %: names of fields."""
        # Kupiec's and the joint test reject what is too cautious, too.
        names = [n for n in TESTS if self.exceedances > self.expected or n in ("independence", "shortfall")]
        return [name for name in names if (test := getattr(self, name)) and test.p < SIGNIFICANCE]

    @property
    def standing(self) -> Standing:
        """The verdict in a word or two."""
        if self.rejected_by:
            return "rejected"
        if self.kupiec and self.kupiec.p < SIGNIFICANCE:
            return "too cautious"
        return "accepted" if self.n >= self.least else "too few"

    @property
    def verdict(self) -> str:
        """The verdict as a sentence."""
        plural = "" if self.exceedances == 1 else "s"
        counted = f"{self.exceedances} exceedance{plural} in {self.n} outcomes, {round(self.expected, 2):g} expected"
        return {
            "accepted": f"accepted at 5 %: {counted}",
            "rejected": f"rejected at 5 % by {_joined([TESTS[name] for name in self.rejected_by])}: {counted}",
            "too cautious": f"too cautious: {counted}",
            "too few": f"too few outcomes for a verdict, it takes {self.least}: {counted}",
        }[self.standing]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the fields, and rejected_by, standing and verdict. What is not defined is None, never NaN.

        Of the tests: kupiec, independence and conditional_coverage have lr and p; traffic_light has zone, probability and
        plus; shortfall has z2 and p.
        """
        more = {"rejected_by": self.rejected_by, "standing": self.standing, "verdict": self.verdict}
        return asdict(self) | more


def grade(
    pnl: Array | Sequence[float],
    var: Array | Sequence[float],
    cvar: Array | Sequence[float],
    tail: float,
    skipped: int = 0,
) -> Grade:
    """The grade of (n,) forecasts, in the order of time, by what the portfolio then made.

    pnl, var, cvar: as shares of the equity at the forecast, so that they compare over time; VaR and CVaR are losses where
    positive. tail: 1 - confidence. skipped: forecasts that were left out before. Raises ValueError where the series
    differ in length, hold what is no finite number, or the tail is not between 0 and 1/2.
    """
    checked_tail(tail)
    pnl, var, cvar = checked(pnl=pnl, var=var, cvar=cvar)
    hits = backtests.exceedances(pnl, var)
    n, count = len(hits), int(np.count_nonzero(hits))
    some = cvar > ROUNDING  # forecasts are made before outcomes, so leaving these out does not favour a model
    return Grade(
        tail=tail,
        n=n,
        exceedances=count,
        expected=n * tail,
        kupiec=backtests.kupiec(count, n, tail),
        independence=backtests.independence(hits),
        conditional_coverage=backtests.conditional_coverage(hits, tail),
        traffic_light=backtests.traffic_light(count, n, tail),
        shortfall=acerbi_szekely(pnl[some], var[some], cvar[some], tail),
        tick_loss=tick_loss(pnl, var, tail),
        fissler_ziegel=fissler_ziegel(pnl[some], var[some], cvar[some], tail),
        without_tail=n - int(np.count_nonzero(some)),
        skipped=skipped,
    )


def grades_of(records: Array, n_accounts: int, tail: float) -> dict[int, dict[Method, Grade]]:
    """The grades of a run by account and method, from (n,) records of type GRADE in the order of time.

    An account without a forecast has no methods. Where equity was 0 or below there is no share of it: such forecasts are
    counted as skipped. Raises ValueError where a record is of another account, and as `grade` does.
    """
    found: dict[int, dict[Method, Grade]] = {account: {} for account in range(n_accounts)}
    for account, method in np.unique(records[["account", "method"]]).tolist():
        if account not in found:
            raise ValueError(f"a forecast for account {account}; there are {n_accounts} accounts, from 0")
        own = records[(records["account"] == account) & (records["method"] == method)]
        worth = own[own["equity"] > 0]
        pnl, var, cvar = (worth[name] / worth["equity"] for name in ("pnl", "at_risk", "shortfall"))
        found[account][Method(method)] = grade(pnl, var, cvar, tail, skipped=len(own) - len(worth))
    return found


def _joined(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
