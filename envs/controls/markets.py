"""Synthetic markets whose best policy is known: regimes, mean reversion, a leaked return, shuffled returns.

Each makes paths of bars with a feature beside them, and solves for the best policy of an account that is flat or long and
pays a fee in bps of the notional (see ``policies.py`` for the account, ``solutions.py`` for the method). The prices are
not rounded: put them on a tick of a millionth of the price or finer, and rather use many paths of 10,000 bars than a
single one of a million, whose price may wander far.

The default parameters are made for a fee of 20 bps. A policy that ignores what it holds, or hears of the feature one bar late,
then earns less than 90 % of the best (with the leak, nothing); buying and holding earns nothing; and a table learned in a
million steps comes within 1 or 2 % of the best one on its bins. In bps per bar, the best policy's mean reward and the
standard error of that mean on n bars are

    MarkovSwitching     3.00    29 / sqrt(n) of realised rewards, 19 / sqrt(n) of expected ones
    OrnsteinUhlenbeck   8.33    31 / sqrt(n),                     52 / sqrt(n)
    Leaked              4.53    20 / sqrt(n),                     20 / sqrt(n)

so that even 100,000 bars leave 1 to 3 %. The share that an agent earns of the best policy's reward on the same paths is known much
better, most of all in expected rewards (`Path.expected`): to about 0.4 % on 100,000 bars; see `share_of`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import erfc, exp, hypot, log, pi, sqrt

import numpy as np

from envs.controls.policies import Array, BinPolicy, ControlError, switch_costs
from envs.controls.solutions import Problem, Solution, best_seen, optimum

FEE_BPS = 20.0  # for which the default parameters are made
VOLUME = 1e6  # of each bar, in units: no order is a large share of it
REACH = 6.0  # of the grid, in stationary deviations to each side; its outermost cells take in the rest
NO_EDGES: Array = np.empty(0)
_ERFC = np.frompyfunc(erfc, 1, 1)  # numpy has none


@dataclass(frozen=True, eq=False)
class Path:
    """Closes of a market, and what was known at each of them.

    close: (n,) float64; columns: features by name, (n,) float64, known at that close; expected: (n - 1,) float64, the log
    return to the next close that was to be expected at each but the last.
    """

    close: Array
    columns: Mapping[str, Array]
    expected: Array

    @property
    def returns(self) -> Array:
        """(n - 1,) float64 log returns from close to close."""
        return np.diff(np.log(self.close))

    @property
    def bars(self) -> dict[str, Array]:
        """open, high, low, close, volume, (n,) float64 each; a bar opens where the one before it closed."""
        before = np.concatenate([self.close[:1], self.close[:-1]])
        return {
            "open": before,
            "high": np.maximum(before, self.close),
            "low": np.minimum(before, self.close),
            "close": self.close,
            "volume": np.full(len(self.close), VOLUME),
        }


class Market(ABC):
    """A process of prices, a function of its parameters; chance comes with a seed.

    features: the names of its columns, one or none.
    """

    features: tuple[str, ...]

    @abstractmethod
    def paths(self, seed: int, n: int) -> Path:
        """A path of n >= 2 closes; the same seed gives the same path. Raises ControlError for a smaller n."""

    @abstractmethod
    def problem(self, edges: Array) -> tuple[Problem, Array]:
        """The market for the dynamic programme, and (m, k + 1) how its states show in the bins of the feature at k edges."""

    @abstractmethod
    def solve(self, fee_bps: float) -> Solution:
        """The best policy of all that see the feature and the position held."""

    def solve_binned(self, edges: Array, fee_bps: float) -> Solution:
        """The best policy that sees the position held and only the bin of the feature; see `best_seen`.

        edges: (k,) float64 ascending, inner edges of the bins. It is what an agent that learns a table on these bins can
        reach.
        """
        problem, shows = self.problem(edges)
        targets, reward = best_seen(problem, shows, fee_bps)
        return Solution(BinPolicy(edges, targets), reward)

    def always_long(self) -> float:
        """The log return per step of buying once and holding."""
        problem, _ = self.problem(NO_EDGES)
        return float(problem.stationary @ problem.expected)


@dataclass(frozen=True, eq=False)
class MarkovSwitching(Market):
    """Returns whose drift and volatility follow a Markov chain of regimes; the next bar's regime shows at the close before.

    drift, volatility: mean and standard deviation of the log return per bar, by regime; stay: chance that a regime lasts from
    bar to bar, by regime, the others being equally likely to follow; mistaken: chance that the feature shows one of the
    others, drawn anew at each bar; price: the first close. The feature is the number of the regime, from 0.

    Source: Hamilton (1989), A new approach to the economic analysis of nonstationary time series and the business cycle.
    """

    drift: tuple[float, ...] = (-0.0010, 0.0, 0.0010)
    volatility: tuple[float, ...] = (0.0030, 0.0030, 0.0030)
    stay: tuple[float, ...] = (0.92, 0.85, 0.92)
    mistaken: float = 0.0
    price: float = 100.0
    features = ("regime",)

    def __post_init__(self) -> None:
        counts = [len(self.drift), len(self.volatility), len(self.stay)]
        if min(counts) < 2 or min(counts) != max(counts):
            raise ControlError(
                f"drift, volatility, stay: {counts} regimes; give two or more, as many of each"
            )
        for name in ("drift", "volatility", "stay"):
            for value in getattr(self, name):
                _check(name, value, -1.0 if name == "drift" else 0.0, 1.0)
        _check("mistaken", self.mistaken, 0.0, 1.0)
        _check("price", self.price, 1e-12, 1e12)
        if max(self.stay) == 1 or max(self.stay) == 0:
            raise ControlError(
                f"stay: {self.stay}; each must be below 1 and one above 0, or regimes never mix"
            )

    @cached_property
    def chain(self) -> Array:
        """(k, k) float64 chance of the next regime by regime."""
        return _spread(1.0 - np.array(self.stay))

    def problem(self, edges: Array) -> tuple[Problem, Array]:
        """States are the regimes."""
        k = len(self.drift)
        shown = _spread(np.full(k, self.mistaken))
        return Problem(self.chain, np.array(self.drift)), shown @ _in_bins(np.arange(k), edges)

    def solve(self, fee_bps: float) -> Solution:
        """Exact; where the feature can be mistaken, the best that a policy without a memory can do."""
        return self.solve_binned(np.arange(len(self.drift) - 1) + 0.5, fee_bps)

    def paths(self, seed: int, n: int) -> Path:
        """The first regime is drawn from the long run's shares."""
        random = _random(seed, n)
        k = len(self.drift)
        draws, noise = random.random(n), random.standard_normal(n - 1)
        wrong, other = random.random(n) < self.mistaken, random.integers(1, k, n)
        first = int(_drawn(self.problem(NO_EDGES)[0].stationary, draws[:1])[0])
        following = zip(*(_drawn(row, draws[1:]).tolist() for row in self.chain), strict=True)
        regime = np.array(list(accumulate(following, lambda now, after: after[now], initial=first)))
        expected = np.array(self.drift)[regime[:-1]]
        returns = expected + np.array(self.volatility)[regime[:-1]] * noise
        shown = np.where(wrong, (regime + other) % k, regime)
        return Path(_closes(self.price, returns), {"regime": shown.astype(float)}, expected)


@dataclass(frozen=True, eq=False)
class OrnsteinUhlenbeck(Market):
    """A price whose logarithm returns to its mean, observed once a bar.

    half_life: bars in which a deviation is expected to halve; deviation: standard deviation of the log price in the long run;
    price: the one at the mean. The feature is the log price's distance from its mean in units of `deviation`.

    Solved on a grid of `cells` cells within 6 deviations to each side, with exact chances from the middle of one cell to the
    whole of another; its error falls with the square of the width of the cells.

    Source: Uhlenbeck and Ornstein (1930), On the theory of the Brownian motion; the discretisation is exact.
    """

    half_life: float = 5.0
    deviation: float = 0.02
    price: float = 100.0
    cells: int = 400
    features = ("deviation",)

    def __post_init__(self) -> None:
        _check("half_life", self.half_life, 0.1, 1e6)
        _check("deviation", self.deviation, 0.0, 1.0)
        _check("price", self.price, 1e-12, 1e12)
        _check("cells", self.cells, 2, 4000)

    @property
    def memory(self) -> float:
        """The share of a deviation that is left one bar later."""
        return exp(-log(2.0) / self.half_life)

    def problem(self, edges: Array) -> tuple[Problem, Array]:
        """States are cells of the feature, cut at the edges too."""
        bounds, middles = _grid(self.cells, edges)
        spread = sqrt(1.0 - self.memory**2)
        chain = _between((bounds - self.memory * middles[:, None]) / spread)
        return Problem(chain, self._expected(middles)), _in_bins(middles, edges)

    def solve(self, fee_bps: float) -> Solution:
        """A band: buy below its lower edge, sell above its upper one."""
        bounds, _ = _grid(self.cells, NO_EDGES)
        targets, reward = optimum(self.problem(NO_EDGES)[0], fee_bps)
        return Solution(BinPolicy(bounds[1:-1], targets).compact(), reward)

    def paths(self, seed: int, n: int) -> Path:
        """The first deviation is drawn from the long run's distribution."""
        memory = self.memory
        noise = _random(seed, n).standard_normal(n)
        noise[1:] *= sqrt(1.0 - memory**2)
        feature = np.array(list(accumulate(noise.tolist(), lambda now, move: memory * now + move)))
        close = self.price * np.exp(self.deviation * feature)
        return Path(close, {"deviation": feature}, self._expected(feature[:-1]))

    def _expected(self, feature: Array) -> Array:
        return np.asarray((self.memory - 1.0) * self.deviation * feature)


@dataclass(frozen=True, eq=False)
class Leaked(Market):
    """A random walk without drift in its logarithm, and a feature that holds its next log return.

    volatility: standard deviation of the log return per bar; error: that of a normal error on the feature; price: the first
    close. With an error, the return to be expected is the feature times `trust` (regression to the mean).

    Solved in closed form. As returns are independent, being long is worth the same before each of them, and a switch is paid
    for by one return alone: with h the half of what a round trip costs, buy where a return above h is to be expected, sell
    where one below -h is. With m the standard deviation of what is to be expected, this earns m phi(h/m) - h Phi(-h/m) per
    step, the price of an option in Bachelier's model.
    """

    volatility: float = 0.003
    error: float = 0.0
    price: float = 100.0
    cells: int = 400
    features = ("leak",)

    def __post_init__(self) -> None:
        _check("volatility", self.volatility, 1e-9, 1.0)
        _check("error", self.error, 0.0, 1.0)
        _check("price", self.price, 1e-12, 1e12)
        _check("cells", self.cells, 2, 4000)

    @property
    def trust(self) -> float:
        """The return to be expected, in units of the feature."""
        return self.volatility**2 / (self.volatility**2 + self.error**2)

    def problem(self, edges: Array) -> tuple[Problem, Array]:
        """States are cells of the feature, cut at the edges too."""
        width = hypot(self.volatility, self.error)
        bounds, middles = _grid(self.cells, edges / width)
        chain = _between(np.tile(bounds, (len(middles), 1)))
        return Problem(chain, self.trust * width * middles), _in_bins(middles, edges / width)

    def solve(self, fee_bps: float) -> Solution:
        """Two edges, or the sign of the feature where nothing is paid."""
        half = sum(switch_costs(fee_bps)) / 2.0
        sure = self.trust * hypot(self.volatility, self.error)
        density = exp(-0.5 * (half / sure) ** 2) / sqrt(2.0 * pi)
        reward = sure * density - half * 0.5 * erfc(half / sure / sqrt(2.0))
        edges = np.unique(half / self.trust * np.array([-1.0, 1.0])) + 0.0  # one where nothing is paid
        targets = np.array([[0, 0, 1], [0, 1, 1]], np.int8)
        targets = targets if half > 0 else targets[:, ::2]
        return Solution(BinPolicy(edges, targets), reward)

    def paths(self, seed: int, n: int) -> Path:
        """The feature of the last close holds the return that would come after it."""
        random = _random(seed, n)
        returns = self.volatility * random.standard_normal(n)
        leak = returns + self.error * random.standard_normal(n)
        return Path(_closes(self.price, returns[:-1]), {"leak": leak}, self.trust * leak[:-1])


@dataclass(frozen=True, eq=False)
class Shuffled(Market):
    """Given returns in an order of chance, so that nothing of the past tells of the next; it has no feature of its own.

    returns: (r,) log returns, of which the mean is taken away; price: the first close. Each bar's return is drawn from all of
    them, with replacement: a mere permutation of them all would end where it began, and a price far from there would tell
    of the way back. The best policy is to do nothing, and nothing can be earned.
    """

    returns: Array
    price: float = 100.0
    features = ()

    def __post_init__(self) -> None:
        if self.returns.ndim != 1 or len(self.returns) < 2 or not np.all(np.isfinite(self.returns)):
            raise ControlError("returns: give (r,) finite log returns, two or more")
        _check("price", self.price, 1e-12, 1e12)

    def problem(self, edges: Array) -> tuple[Problem, Array]:
        """One state."""
        return Problem(np.ones((1, 1)), np.zeros(1)), _in_bins(np.zeros(1), edges)

    def solve(self, fee_bps: float) -> Solution:
        """What is held is kept."""
        return self.solve_binned(NO_EDGES, fee_bps)

    def paths(self, seed: int, n: int) -> Path:
        """Any n, also more than there are returns."""
        centred = self.returns - self.returns.mean()
        returns = _random(seed, n).choice(centred, n - 1)
        return Path(_closes(self.price, returns), {}, np.zeros(n - 1))


def _random(seed: int, n: int) -> np.random.Generator:
    if n < 2:
        raise ControlError(f"n: a path of {n} closes; give 2 or more")
    return np.random.Generator(np.random.PCG64(seed))


def _closes(price: float, returns: Array) -> Array:
    return price * np.exp(np.concatenate([[0.0], np.cumsum(returns)]))


def _spread(away: Array) -> Array:
    # (k, k): from each of k to itself, and with the chance `away` (k,) to one of the others, equally
    k = len(away)
    return np.where(np.eye(k, dtype=bool), (1.0 - away)[:, None], (away / (k - 1))[:, None])


def _drawn(chances: Array, draws: Array) -> Array:
    # uniform draws -> indices of a distribution
    return np.searchsorted(np.cumsum(chances)[:-1], draws, side="right")


def _grid(cells: int, edges: Array) -> tuple[Array, Array]:
    # bounds (m + 1,) of the cells of a standard normal feature, the outermost at -REACH and REACH, and their middles (m,)
    inside = edges[np.abs(edges) < REACH]
    bounds = np.unique(np.concatenate([np.linspace(-REACH, REACH, cells + 1), inside]))
    return bounds, (bounds[:-1] + bounds[1:]) / 2.0


def _between(bounds: Array) -> Array:
    # (m, m + 1) bounds in standard deviations -> (m, m) chance of a normal variable between them; the ends take the tails
    below = 0.5 * np.asarray(_ERFC(-bounds[:, 1:-1] / sqrt(2.0)), float)
    return np.diff(below, axis=1, prepend=0.0, append=1.0)


def _in_bins(values: Array, edges: Array) -> Array:
    # (m, k + 1) one where a value's bin is
    bins = np.searchsorted(edges, values, side="right")
    return (bins[:, None] == np.arange(len(edges) + 1)).astype(float)


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # NaN neither
        raise ControlError(f"{name}: {value} is not within {low:g} and {high:g}")
