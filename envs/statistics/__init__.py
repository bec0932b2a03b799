"""How much of a result is skill: Sharpe ratios after selection, overfitting, and confidence intervals.

Everywhere a return is simple, per period (a day, a bar), and net of costs; a ratio of returns is per period too, never
annualised. What is not defined is None.
"""

from envs.statistics.bootstrap import Interval, intervals, optimal_block_length, resampled_indices
from envs.statistics.overfitting import Overfitting, backtest_overfitting
from envs.statistics.sharpe import (
    SharpeEstimate,
    deflated_sharpe_ratio,
    expected_maximum_sharpe,
    probabilistic_sharpe_ratio,
    sharpe_ratio,
)

__all__ = [
    "Interval",
    "Overfitting",
    "SharpeEstimate",
    "backtest_overfitting",
    "deflated_sharpe_ratio",
    "expected_maximum_sharpe",
    "intervals",
    "optimal_block_length",
    "probabilistic_sharpe_ratio",
    "resampled_indices",
    "sharpe_ratio",
]
