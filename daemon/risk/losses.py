"""Loss functions that rank forecasts: lower is better, and the true VaR and CVaR have the lowest mean.

They compare methods on the same outcomes; on their own they say nothing. Give everything as shares of equity, or a
period in which the account was large would outweigh the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daemon.risk.series import Array, checked, checked_tail
from daemon.risk.shortfall import check_cvar


def tick_loss(pnl: Array | Sequence[float], var: Array | Sequence[float], tail: float) -> float | None:
    """Mean of (tail - 1{pnl < -VaR}) (pnl + VaR), the loss of quantile regression, which judges VaR alone.

    pnl, var: (n,); in their unit. None where n is 0. Source: Koenker and Bassett, "Regression Quantiles", Econometrica
    46(1), 1978.
    """
    checked_tail(tail)
    pnl, var = checked(pnl=pnl, var=var)
    if len(pnl) == 0:
        return None
    return float(np.mean((tail - (pnl < -var)) * (pnl + var)))


def fissler_ziegel(
    pnl: Array | Sequence[float],
    var: Array | Sequence[float],
    cvar: Array | Sequence[float],
    tail: float,
) -> float | None:
    """Mean FZ0 loss, which judges VaR and CVaR together: CVaR alone has no loss function that the true one minimises.

    1{pnl < -VaR} (-pnl - VaR) / (tail CVaR) + VaR / CVaR + log(CVaR) - 1, of (n,) values. Differences between methods do not
    depend on the unit (its logarithm is added to all). None where n is 0. Raises ValueError where a CVaR is not positive.
    Sources: Fissler and Ziegel, "Higher Order Elicitability and Osband's Principle", Annals of Statistics 44(4), 2016;
    Patton, Ziegel and Chen, "Dynamic Semiparametric Models for Expected Shortfall (and Value-at-Risk)", Journal of
    Econometrics 211(2), 2019, where VaR and CVaR are returns, so negative.
    """
    checked_tail(tail)
    pnl, var, cvar = checked(pnl=pnl, var=var, cvar=cvar)
    check_cvar(cvar)
    if len(pnl) == 0:
        return None
    beyond = np.maximum(-pnl - var, 0.0)
    return float(np.mean(beyond / (tail * cvar) + var / cvar + np.log(cvar) - 1.0))
